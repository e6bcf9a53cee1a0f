"""Fetch the published corpora from their publishers: resumed, verified, and whole or not at all.

What lies under its final name is complete: a download grows in FILE.part, is verified there, and is
moved (or unpacked beside its goal and then moved) only when all is well.
"""

import contextlib
import hashlib
import http.client
import math
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .archives import PIECE, SHOW_FROM, extract
from .files import InputError, error_reason, os_error_message, read_csv
from .hrtf import CIPIC_SUBJECTS
from .progress import track
from .sofa import read_sofa

TIMEOUT = 30.0  # s without a byte
ATTEMPTS = 4  # in a row that bring less than a PIECE each


@dataclass(frozen=True)
class Source:
    """One thing to fetch.

    url : where it is; http or https
    file : name it is stored under, relative to the data folder
    checksum : "algorithm:hex digits", or "" where the publisher gives none
    extract_to : folder it makes when unpacked, relative to the data folder; "" if it is no archive
    inside : that folder's name inside the archive
    check : called with the fetched file or unpacked folder, raises InputError if it is not right
    max_bytes : refuse more than this; unpacked, more than three times this
    """

    url: str
    file: str
    checksum: str = ""
    extract_to: str = ""
    inside: str = ""
    check: Callable[[Path], object] | None = None
    max_bytes: int = 2**24


def _check_esc50(folder: Path) -> None:
    for row in read_csv(folder / "meta" / "esc50.csv", ("filename", "esc10")):
        if not (folder / "audio" / Path(row["filename"]).name).is_file():
            raise InputError(f"ESC-50: its table names {row['filename'][:60]!r}, which is not there")


LIBRISPEECH = {  # MD5 from https://www.openslr.org/resources/12/md5sum.txt, and a bound in bytes
    "train-clean-100": ("2a93770f6d5c6c964bc36631d331a522", 7 * 10**9),
    "dev-clean": ("42e2234ba48799c1f50f24a7926300a1", 5 * 10**8),
}


def published_sources(subset: str) -> list[Source]:
    """LibriSpeech's `subset`, ESC-50, and the 20 CIPIC subjects, the quickest first."""
    if subset not in LIBRISPEECH:
        raise InputError(f"speech {subset!r}: unknown: use one of {', '.join(LIBRISPEECH)}")
    md5, max_bytes = LIBRISPEECH[subset]
    cipic = [Source(f"https://sofacoustics.org/data/database/cipic/subject_{s}.sofa",
                    f"cipic/subject_{s}.sofa", check=read_sofa) for s in CIPIC_SUBJECTS]
    return cipic + [
        # made on request by GitHub, so neither its length nor a checksum is known beforehand
        Source("https://github.com/karolpiczak/ESC-50/archive/master.zip", "ESC-50.zip",
               extract_to="ESC-50", inside="ESC-50-master", check=_check_esc50, max_bytes=12 * 10**8),
        Source(f"https://www.openslr.org/resources/12/{subset}.tar.gz", f"{subset}.tar.gz",
               f"md5:{md5}", f"LibriSpeech/{subset}", f"LibriSpeech/{subset}", max_bytes=max_bytes),
    ]


def download_all(to: Path, subset: str, sources: list[Source] | None = None, wait: float = 2.0) -> None:
    """Fetch every source that is not there yet.

    Parameters
    ----------
    to : Path
        Data folder, made if need be.
    subset : str
        Of LibriSpeech: "train-clean-100" (6.3 GB, published) or "dev-clean" (0.3 GB).
    sources : list of Source, optional
        In place of the published ones.
    wait : float
        Seconds before the first new attempt; doubled for each that follows.

    Raises
    ------
    InputError
        No network, no such file there, a wrong length, checksum or content, an unsafe archive, a
        full disk. Running again goes on where this ended.
    """
    to = Path(to)
    sources = published_sources(subset) if sources is None else sources
    try:
        for k, source in enumerate(sources):
            goal = to / (source.extract_to or source.file)
            if goal.exists():
                continue
            print(f"{k + 1}/{len(sources)} {goal} from {source.url}", file=sys.stderr, flush=True)
            part = fetch(source, to, wait)
            _install(source, part, to, goal)
    except OSError as error:
        error.filename = error.filename or str(to)
        raise InputError(os_error_message(error)) from None


def _install(source: Source, part: Path, to: Path, goal: Path) -> None:
    """Check what was fetched and give it its final name; what fails is deleted."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    unpacked = to / f".{Path(source.file).name}.unpacked"
    try:
        found = part
        if source.extract_to:
            shutil.rmtree(unpacked, ignore_errors=True)  # of an interrupted run
            extract(part, unpacked, 3 * source.max_bytes)
            found = unpacked / source.inside
            if not found.is_dir():
                raise InputError(f"no folder {source.inside} in it")
        if source.check is not None:
            source.check(found)
        os.replace(found, goal)
    except InputError as error:
        _discard(part)
        reason = str(error).removeprefix(f"{part}: ")
        raise InputError(f"{source.url}: what arrived is not right ({reason}): run the same command "
                         "again to fetch it anew") from None
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    _discard(part)


class _Interrupted(Exception):
    """The transfer broke off; another attempt may go on from there."""


def fetch(source: Source, to: Path, wait: float = 2.0) -> Path:
    """Fetch one source into `to`/FILE.part, going on with what is there, and verify its checksum.

    Returns
    -------
    Path
        Of the part: whole, its length and checksum right.

    Raises
    ------
    InputError
    """
    part = Path(to) / f"{source.file}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    while True:
        size = part.stat().st_size if part.exists() else 0
        try:
            _transfer(source, part)
            break
        except _Interrupted as error:
            gained = part.exists() and part.stat().st_size >= size + PIECE
            failed = 1 if gained else failed + 1
            if failed == ATTEMPTS:
                raise InputError(f"{source.url}: {error}, {ATTEMPTS} attempts made: check the network and "
                                 "run the same command again, it goes on from here") from None
            pause = wait * 2 ** (failed - 1)
            print(f"{source.url}: {error}: trying again in {pause:g} s", file=sys.stderr, flush=True)
            time.sleep(pause)
    if source.checksum:
        algorithm, wanted = source.checksum.split(":")
        with open(part, "rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False))
        if found.hexdigest() != wanted.lower():
            _discard(part)
            raise InputError(f"{source.url}: {algorithm} is {found.hexdigest()}, not {wanted}: the file was "
                             "damaged or replaced; run the same command again")
    return part


def _transfer(source: Source, part: Path) -> None:
    """One request: append to `part` what it lacks, or write it anew."""
    have, validator = _resumable(source, part)
    # a compressed transfer would have another length than the file
    headers = {"User-Agent": "ssl_jax", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    response = _open(source, headers, part)
    if response is None:
        return  # all of it had come before
    with response:
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip())
            if not have or span is None or int(span[1]) != have or int(span[2]) != int(span[3]) - 1:
                _discard(part)
                raise _Interrupted("the server answered with another range than asked for")
            total = int(span[3])
        else:  # the whole file: the first time, or it has changed, or the server knows no ranges
            have = 0
            length = response.headers.get("Content-Length", "")
            total = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        if total is not None and total > source.max_bytes:
            _discard(part)
            raise InputError(f"{source.url}: announces {total} bytes, over the {source.max_bytes} expected: "
                             "it is not the file meant; get it by hand")
        lacks = (total or 0) - have
        if lacks > shutil.disk_usage(part.parent).free:
            raise InputError(f"{part.parent}: no room for the {lacks / 1e9:.1f} GB of {source.url}: "
                             "free some space or choose another folder")
        with open(part, "ab" if have else "wb") as stream:
            if not have:  # now that the old part is gone
                _remember(part, response.headers)
            have = _copy(source, response, stream, have, total)
    if have == 0:
        _discard(part)
        raise InputError(f"{source.url}: sent an empty file: try again later")
    if total is not None and have < total:
        raise _Interrupted(f"broke off after {have} of {total} bytes")
    if have > source.max_bytes or (total is not None and have > total):
        _discard(part)
        raise InputError(f"{source.url}: sent over {total or source.max_bytes} bytes: it is not the file "
                         "meant; try again later")


def _copy(source: Source, response, stream, have: int, total: int | None) -> int:
    """Write the answer's body to `stream`; the number of bytes there then are of the file."""
    pieces = _pieces(response)
    if total is not None and total >= SHOW_FROM:
        label = f"{Path(source.file).name} (MiB)"
        pieces = track(pieces, label, total=math.ceil(total / PIECE), done=have // PIECE)
    for piece in pieces:
        stream.write(piece)
        have += len(piece)
        if have > source.max_bytes:
            break
    return have


def _pieces(response) -> Iterator[bytes]:
    while True:
        try:
            piece = response.read(PIECE)
        except http.client.IncompleteRead as error:
            piece = error.partial
            if piece:
                yield piece
            raise _Interrupted("the connection was cut") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(f"the connection was lost ({_reason(error)})") from None
        if not piece:
            return
        yield piece


def _open(source: Source, headers: dict, part: Path):
    """The open answer to a GET request, or None if the part is whole; InputError, _Interrupted."""
    try:
        # only these: urllib's own opener would follow a redirect to ftp: as well, and open file:
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
                        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor):
            opener.add_handler(handler())
        opener.add_handler(_Redirects(bool(source.checksum)))
        if urllib.parse.urlsplit(source.url).scheme not in ("http", "https"):
            raise InputError(f"{source.url}: neither http nor https: use one of them")
        return opener.open(urllib.request.Request(source.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing follows our part: it is whole, or of another file
            if error.headers.get("Content-Range", "").strip() == f"bytes */{part.stat().st_size}":
                return None
            _discard(part)
            raise _Interrupted("the file there has changed") from None
        answer = f"the server answers {error.code} {http.client.responses.get(error.code, '')}"
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _Interrupted(answer) from None
        if 300 <= error.code < 400:
            answer = "redirects in circles, or to something other than http and https"
        raise InputError(f"{source.url}: {answer}: get it by hand from its publisher") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"cannot be reached ({_reason(error)})") from None
    except ValueError as error:
        raise InputError(f"{source.url}: not a valid address ({_reason(error)}): check it") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https; from https to http only what a checksum protects."""

    def __init__(self, checksum: bool):
        self.checksum = checksum

    def redirect_request(self, request, fp, code, message, headers, newurl):
        old, new = (urllib.parse.urlsplit(url).scheme.lower() for url in (request.full_url, newurl))
        if new not in ("http", "https") or (old == "https" and new == "http" and not self.checksum):
            raise InputError(f"{request.full_url}: redirects from {old} to {newurl[:80]!r}, which is unsafe: "
                             "get it by hand from its publisher")
        return super().redirect_request(request, fp, code, message, headers, newurl)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)  # of a URLError: what lies behind it
    return error_reason(reason or error)[:120]


# A part is gone on with only if it is certain that it begins the same file: the server compares
# its validator, or the checksum is known.


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _resumable(source: Source, part: Path) -> tuple[int, str]:
    """Bytes of `part` that may be kept, and the validator they came with."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        validator = _validator_file(part).read_text(encoding="ascii")
        if re.fullmatch(r"[\x20-\x7e]{1,200}", validator):
            return (part.stat().st_size, validator) if part.is_file() else (0, "")
    return (part.stat().st_size, "") if source.checksum and part.is_file() else (0, "")


def _remember(part: Path, headers) -> None:
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    _validator_file(part).write_text(validator.encode("ascii", "replace").decode(), encoding="ascii")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)
