#!/usr/bin/env bash
# Sets up and runs the whole experiment, or the tests. Needs Python 3.11 or newer, nothing else.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
usage: ./reproduce.sh [options]          set up, run every stage, print ours beside the reported tables
       ./reproduce.sh test [options]     set up, run the tests (options go to pytest; --slow adds an hour of kills and
                                       full disks)

  --data DIR          the publishers' corpora (python -m ssl_jax download --to DIR) with the published
                      settings, instead of the embedded corpus; also $SSL_JAX_DATA
  --hair-cell NAME    none, roman, halfwave, envelope, lindemann, breebaart, bernstein
  --directions RULE   horizontal, nearest_azimuth
  --hop N             samples between cue values (default 441, 10 ms)
  --seed N            of the whole run (default 0)
  --quick             100 clips x 72 directions, 3 epochs of each run: a few minutes
  --coordinator ...   several hosts: docs/scale.md
  --name NAME         of the folders under results/ and work/
  --help              this text

Every stage is skipped where its output is complete for the same settings; an interrupted run goes on
where it stopped. Results go to results/NAME, figures to paper_figures, the cue store to work/NAME.
TEXT
}

case "${1:-}" in -h | --help | help) usage; exit 0 ;; esac

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
    exec .venv/bin/python -m pytest "$@"
fi
exec .venv/bin/python -m ssl_jax all "$@"
