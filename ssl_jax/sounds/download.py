"""Fetch the published corpora: resumed and verified in FILE.part, and moved into place only when whole."""

import hashlib
import http.client
import math
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ssl_jax.common.errors import InputError, error_reason, os_error_message
from ssl_jax.common.files import read_csv
from ssl_jax.common.progress import say, track
from ssl_jax.sounds.archives import PIECE, SHOW_FROM, extract
from ssl_jax.sounds.hrtf import CIPIC_OTHERS, CIPIC_SUBJECTS
from ssl_jax.sounds.sofa import read_sofa

TIMEOUT = 30.0  # s without a byte
ATTEMPTS = 4  # in a row that bring less than a PIECE each
# MD5 from https://www.openslr.org/resources/12/md5sum.txt, and a bound in bytes; the first is the published
LIBRISPEECH = {"train-clean-100": ("2a93770f6d5c6c964bc36631d331a522", 7 * 10**9)}
LIBRISPEECH |= {"dev-clean": ("42e2234ba48799c1f50f24a7926300a1", 5 * 10**8)}


@dataclass(frozen=True)
class Source:
    url: str  # http or https
    file: str  # below the data folder
    checksum: str = ""  # "algorithm:hex digits", or "" where the publisher gives none
    extract_to: str = ""  # folder below the data folder that an archive makes
    inside: str = ""  # that folder's name inside the archive
    check: Callable[[Path], object] | None = (
        None  # raises InputError for a file or folder that is wrong
    )
    max_bytes: int = 2**24  # refuse more than this; unpacked, more than three times this


def _check_esc50(folder: Path) -> None:
    for row in read_csv(folder / "meta" / "esc50.csv", ("filename", "esc10")):
        if not (folder / "audio" / Path(row["filename"]).name).is_file():
            raise InputError(
                f"ESC-50: its table names {row['filename'][:60]!r}, which is not there"
            )


def published_sources(subset: str, heads: str = "published") -> list[Source]:
    """The quickest first: the 20 CIPIC subjects (published), or "all" 45, ESC-50, LibriSpeech's `subset`."""
    if subset not in LIBRISPEECH:
        raise InputError(f"speech {subset!r}: unknown: use one of {', '.join(LIBRISPEECH)}")
    md5, max_bytes = LIBRISPEECH[subset]
    pack, home = f"{subset}.tar.gz", f"LibriSpeech/{subset}"
    files = [f"cipic/subject_{s}.sofa" for s in CIPIC_SUBJECTS + CIPIC_OTHERS * (heads == "all")]
    sources = [
        Source(f"https://sofacoustics.org/data/database/{f}", f, check=read_sofa) for f in files
    ]
    esc50 = "https://github.com/karolpiczak/ESC-50/archive/master.zip"  # made on request: of no known length
    sources.append(
        Source(esc50, "ESC-50.zip", "", "ESC-50", "ESC-50-master", _check_esc50, 12 * 10**8)
    )
    speech = f"https://www.openslr.org/resources/12/{pack}"
    return [*sources, Source(speech, pack, f"md5:{md5}", home, home, max_bytes=max_bytes)]


def download_all(to: Path, sources: list[Source], wait: float = 2.0) -> None:
    """Fetch every source that is not there yet into the data folder `to`, going on where a run before ended.
    It waits `wait` s before a second attempt, then twice that."""
    try:
        for number, source in enumerate(sources, 1):
            if not (goal := to / (source.extract_to or source.file)).exists():
                say(f"{number}/{len(sources)} {goal} from {source.url}")
                _install(source, fetch(source, to, wait), to, goal)
    except OSError as error:
        error.filename = error.filename or str(to)
        raise InputError(os_error_message(error)) from None


def _install(source: Source, part: Path, to: Path, goal: Path) -> None:
    """Check what was fetched and give it its final name; delete what fails."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    unpacked, found = to / f".{Path(source.file).name}.unpacked", part
    try:
        if source.extract_to:
            shutil.rmtree(unpacked, ignore_errors=True)  # of an interrupted run
            extract(part, unpacked, 3 * source.max_bytes)
            if not (found := unpacked / source.inside).is_dir():
                raise InputError(f"no folder {source.inside} in it")
        if source.check is not None:
            source.check(found)
        os.replace(found, goal)
        part.unlink(missing_ok=True)
    except InputError as error:
        part.unlink(missing_ok=True)
        reason = f"what arrived is not right ({str(error).removeprefix(f'{part}: ')})"
        raise InputError(
            f"{source.url}: {reason}: run the same command again to fetch it anew"
        ) from None
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def fetch(source: Source, to: Path, wait: float = 2.0) -> Path:
    """Fetch one source into `to`/FILE.part and verify it; a part is continued only if a checksum can tell."""
    part, failed = to / f"{source.file}.part", 0
    part.parent.mkdir(parents=True, exist_ok=True)
    while True:
        before = _size(part)
        try:
            _transfer(source, part)
            break
        except ConnectionError as error:
            kept = (
                source.checksum and _size(part) >= before + PIECE
            )  # else the next attempt starts anew
            failed = 1 if kept else failed + 1
            if failed == ATTEMPTS:
                error = f"{error}, {ATTEMPTS} attempts made: check the network and run the same command again"
                raise InputError(f"{source.url}: {error}") from None
            pause = wait * 2 ** (failed - 1)
            say(f"{source.url}: {error}: trying again in {pause:g} s")
            time.sleep(pause)
    if source.checksum:
        kind, wanted = source.checksum.split(":")
        with open(part, "rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False))
        if (found := digest.hexdigest()) != wanted.lower():
            part.unlink()
            raise InputError(
                f"{source.url}: {kind} is {found}, not {wanted}: run the same command again"
            )
    return part


def _transfer(source: Source, part: Path) -> None:
    """Append to `part` what it lacks, or write it anew; raises ConnectionError to be asked again."""
    url, limit = source.url, source.max_bytes
    have = _size(part) if source.checksum else 0
    if (response := _open(source, have)) is None:
        return  # nothing follows `part`; the checksum says whether it is the whole file
    with response:
        if response.status != 206:  # the whole file: the first time, or the server knows no ranges
            have = 0
        total = have + (response.length or 0)  # without a length only what is there
        if total > limit:
            raise InputError(
                f"{url}: announces {total} bytes, over the {limit} expected: get it by hand"
            )
        if total - have > shutil.disk_usage(part.parent).free:
            room = f"no room for the {(total - have) / 1e9:.1f} GB of {url}"
            raise InputError(f"{part.parent}: {room}: free some space or choose another folder")
        pieces = _pieces(response)
        if total > max(have, SHOW_FROM):
            pieces = track(pieces, f"{part.stem} (MiB)", math.ceil(total / PIECE), have // PIECE)
        with open(part, "ab" if have else "wb") as stream:
            for piece in pieces:
                have += stream.write(piece)
                if have > limit:
                    break
    if have < total:
        raise ConnectionError(f"broke off after {have} of {total} bytes")
    if not 0 < have <= limit:
        part.unlink()
        sent = f"over {limit} bytes" if have else "an empty file"
        raise InputError(f"{url}: sent {sent}: it is not the file meant; try again later")


def _pieces(response) -> Iterator[bytes]:
    """The answer's body; raises ConnectionError where it breaks off."""
    try:
        while piece := response.read(PIECE):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"the connection was lost ({error_reason(error)[:120]})") from None


def _open(source: Source, have: int):
    """The open answer to a request for what follows byte `have`, or None if nothing does."""
    headers = {
        "User-Agent": "ssl_jax",
        "Accept-Encoding": "identity",
    }  # compressed, its length would differ
    headers |= {"Range": f"bytes={have}-"} if have else {}
    try:
        if urllib.parse.urlsplit(source.url).scheme not in ("http", "https"):
            raise InputError(f"{source.url}: neither http nor https: use one of them")
        opener = urllib.request.build_opener(_Redirects(bool(source.checksum)))
        return opener.open(urllib.request.Request(source.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return None
        answer = f"the server answers {error.code} {http.client.responses.get(error.code, '')}"
        if error.code in (408, 425, 429) or error.code >= 500:
            raise ConnectionError(answer) from None
        if 300 <= error.code < 400:
            answer = "redirects in circles, or to something other than http and https"
        raise InputError(f"{source.url}: {answer}: get it by hand from its publisher") from None
    except (OSError, http.client.HTTPException) as error:
        reason = error_reason(getattr(error, "reason", error))[
            :120
        ]  # of a URLError: what lies behind it
        raise ConnectionError(f"cannot be reached ({reason})") from None
    except ValueError as error:
        raise InputError(
            f"{source.url}: not a valid address ({error_reason(error)}): check it"
        ) from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https; from https to http only what a checksum protects."""

    def __init__(self, checksum: bool):
        self.checksum = checksum

    def redirect_request(self, request, fp, code, message, headers, newurl):
        old, new = (urllib.parse.urlsplit(url).scheme for url in (request.full_url, newurl))
        if new not in ("http", "https") or (old == "https" and new == "http" and not self.checksum):
            raise InputError(
                f"{request.full_url}: redirects to the unsafe {newurl[:80]!r}: get it by hand"
            )
        return super().redirect_request(request, fp, code, message, headers, newurl)


def run_download(args) -> None:
    """The stage `download` of the command line."""
    download_all(args.to, published_sources(args.speech, args.heads))
