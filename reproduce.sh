#!/usr/bin/env bash
# Sets up and runs the whole experiment, or the tests. Needs Python 3.11 or newer, nothing else.
set -euo pipefail
cd "$(dirname "$0")"

python=""
for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "reproduce.sh: no Python 3.11 or newer found: install one (python.org) and run again" >&2
    exit 2
fi

case "${1:-}" in -h | --help | help)
    echo "./reproduce.sh [OPTION...]       set up, run every stage, print ours beside the reported tables"
    echo "./reproduce.sh test [OPTION...]  set up, check style and types, run the tests (options go to pytest; --slow adds an hour)"
    echo
    exec "$python" -m ssl_jax all --help
    ;;
esac

# the marker is written last, so an interrupted installation starts over
marker=.venv/installed-requirements.txt
if ! cmp -s requirements.txt "$marker"; then
    echo "reproduce.sh: installing into .venv (a minute or two)" >&2
    rm -f "$marker"
    if ! "$python" -m venv --clear .venv; then
        echo "reproduce.sh: $python cannot make virtual environments: install its venv module (Debian: python3-venv)" >&2
        exit 2
    fi
    if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt; then
        echo "reproduce.sh: installing requirements.txt failed: see above, check the network and run again" >&2
        exit 2
    fi
    cp requirements.txt "$marker"
fi

if [ "${1:-}" = test ]; then
    shift
    .venv/bin/ruff check --quiet .
    .venv/bin/ruff format --quiet --check .
    .venv/bin/mypy --no-error-summary
    exec .venv/bin/python -m pytest "$@"
fi
exec .venv/bin/python -m ssl_jax all "$@"
