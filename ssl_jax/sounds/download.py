"""Fetch the published corpora from their publishers: resumed, verified, and whole or not at all.

What lies under its final name is complete: a download grows in FILE.part, is verified there, and is
moved (or unpacked beside its goal and then moved) only when all is well.
"""

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

from ssl_jax.common.errors import InputError, error_reason, os_error_message
from ssl_jax.common.files import read_csv
from ssl_jax.common.progress import track
from ssl_jax.sounds.archives import PIECE, SHOW_FROM, extract
from ssl_jax.sounds.hrtf import CIPIC_SUBJECTS
from ssl_jax.sounds.sofa import read_sofa

TIMEOUT = 30.0  # s without a byte
ATTEMPTS = 4  # in a row that bring less than a PIECE each
LIBRISPEECH = {  # MD5 from https://www.openslr.org/resources/12/md5sum.txt, and a bound in bytes
    "train-clean-100": ("2a93770f6d5c6c964bc36631d331a522", 7 * 10**9),
    "dev-clean": ("42e2234ba48799c1f50f24a7926300a1", 5 * 10**8),
}


@dataclass(frozen=True)
class Source:
    """One thing to fetch."""

    url: str  # http or https
    file: str  # name it is stored under, relative to the data folder
    checksum: str = ""  # "algorithm:hex digits", or "" where the publisher gives none
    extract_to: str = ""  # folder it makes when unpacked, relative to the data folder; "" if no archive
    inside: str = ""  # that folder's name inside the archive
    check: Callable[[Path], object] | None = None  # raises InputError for a file or folder that is wrong
    max_bytes: int = 2**24  # refuse more than this; unpacked, more than three times this


def _check_esc50(folder: Path) -> None:
    for row in read_csv(folder / "meta" / "esc50.csv", ("filename", "esc10")):
        if not (folder / "audio" / Path(row["filename"]).name).is_file():
            raise InputError(f"ESC-50: its table names {row['filename'][:60]!r}, which is not there")


def published_sources(subset: str) -> list[Source]:
    """LibriSpeech's `subset`, ESC-50, and the 20 CIPIC subjects, the quickest first."""
    if subset not in LIBRISPEECH:
        raise InputError(f"speech {subset!r}: unknown: use one of {', '.join(LIBRISPEECH)}")
    md5, max_bytes = LIBRISPEECH[subset]
    heads = [f"cipic/subject_{s}.sofa" for s in CIPIC_SUBJECTS]
    esc50 = "https://github.com/karolpiczak/ESC-50/archive/master.zip"  # made on request: of no known length
    pack, home = f"{subset}.tar.gz", f"LibriSpeech/{subset}"
    speech = f"https://www.openslr.org/resources/12/{pack}"
    return [
        *(Source(f"https://sofacoustics.org/data/database/{name}", name, check=read_sofa) for name in heads),
        Source(esc50, "ESC-50.zip", "", "ESC-50", "ESC-50-master", _check_esc50, 12 * 10**8),
        Source(speech, pack, f"md5:{md5}", home, home, max_bytes=max_bytes),
    ]


def download_all(to: Path, subset: str, sources: list[Source] | None = None, wait: float = 2.0) -> None:
    """Fetch every source that is not there yet into the data folder `to`.

    Parameters
    ----------
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
            if not goal.exists():
                print(f"{k + 1}/{len(sources)} {goal} from {source.url}", file=sys.stderr, flush=True)
                _install(source, fetch(source, to, wait), to, goal)
    except OSError as error:
        error.filename = error.filename or str(to)
        raise InputError(os_error_message(error)) from None


def _install(source: Source, part: Path, to: Path, goal: Path) -> None:
    """Check what was fetched and give it its final name; delete what fails."""
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
        part.unlink(missing_ok=True)
        reason = str(error).removeprefix(f"{part}: ")
        remedy = "run the same command again to fetch it anew"
        raise InputError(f"{source.url}: what arrived is not right ({reason}): {remedy}") from None
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    part.unlink(missing_ok=True)


class _Interrupted(Exception):
    """The transfer broke off; another attempt may go on from there."""


def fetch(source: Source, to: Path, wait: float = 2.0) -> Path:
    """Fetch one source whole into `to`/FILE.part and verify its checksum; returns that path.

    A part that is there is continued where a checksum will tell whether it is the same file. Raises
    InputError as `download_all` does.
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
                remedy = "check the network and run the same command again"
                raise InputError(f"{source.url}: {error}, {ATTEMPTS} attempts made: {remedy}") from None
            pause = wait * 2 ** (failed - 1)
            print(f"{source.url}: {error}: trying again in {pause:g} s", file=sys.stderr, flush=True)
            time.sleep(pause)
    if source.checksum:
        algorithm, wanted = source.checksum.split(":")
        with open(part, "rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False))
        found = found.hexdigest()
        if found != wanted.lower():
            part.unlink()
            remedy = "the file was damaged or replaced; run the same command again"
            raise InputError(f"{source.url}: {algorithm} is {found}, not {wanted}: {remedy}")
    return part


def _transfer(source: Source, part: Path) -> None:
    """One request: append to `part` what it lacks, or write it anew."""
    have = part.stat().st_size if source.checksum and part.is_file() else 0
    response = _open(source, have)
    if response is None:
        return  # nothing follows `part`; the checksum says whether it is the whole file
    with response:
        if response.status != 206:  # the whole file: the first time, or the server knows no ranges
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if re.fullmatch(r"\d{1,18}", length) else None
        if (total or 0) > source.max_bytes:
            announced = f"announces {total} bytes, over the {source.max_bytes} expected"
            raise InputError(f"{source.url}: {announced}: it is not the file meant; get it by hand")
        if (total or 0) - have > shutil.disk_usage(part.parent).free:
            room = f"no room for the {(total - have) / 1e9:.1f} GB of {source.url}"
            raise InputError(f"{part.parent}: {room}: free some space or choose another folder")
        pieces = _pieces(response)
        if total is not None and total >= SHOW_FROM:
            label = f"{Path(source.file).name} (MiB)"
            pieces = track(pieces, label, total=math.ceil(total / PIECE), done=have // PIECE)
        with open(part, "ab" if have else "wb") as stream:
            for piece in pieces:
                stream.write(piece)
                have += len(piece)
                if have > source.max_bytes:
                    break
    if total is not None and have < total:
        raise _Interrupted(f"broke off after {have} of {total} bytes")
    if have == 0 or have > source.max_bytes:
        part.unlink()
        sent = f"over {source.max_bytes} bytes" if have else "an empty file"
        raise InputError(f"{source.url}: sent {sent}: it is not the file meant; try again later")


def _pieces(response) -> Iterator[bytes]:
    """The answer's body; raises _Interrupted where it breaks off."""
    while True:
        try:
            piece = response.read(PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(f"the connection was lost ({_reason(error)})") from None
        if not piece:
            return
        yield piece


def _reason(error: Exception) -> str:
    return error_reason(getattr(error, "reason", error))[:120]  # of a URLError: what lies behind it


def _open(source: Source, have: int):
    """The open answer to a request for what follows byte `have`, or None if nothing does."""
    # a compressed transfer would have another length than the file
    headers = {"User-Agent": "ssl_jax", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        # only these: urllib's own opener would follow a redirect to ftp: as well, and open file:
        opener, web = urllib.request.OpenerDirector(), urllib.request
        handlers = [web.ProxyHandler(), web.HTTPHandler(), web.HTTPSHandler(), web.HTTPDefaultErrorHandler()]
        for handler in (*handlers, web.HTTPErrorProcessor(), _Redirects(bool(source.checksum))):
            opener.add_handler(handler)
        if urllib.parse.urlsplit(source.url).scheme not in ("http", "https"):
            raise InputError(f"{source.url}: neither http nor https: use one of them")
        return opener.open(urllib.request.Request(source.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return None
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
            where = f"redirects from {old} to {newurl[:80]!r}, which is unsafe"
            raise InputError(f"{request.full_url}: {where}: get it by hand from its publisher")
        return super().redirect_request(request, fp, code, message, headers, newurl)


def run_download(args) -> None:
    """The stage `download` of the command line."""
    download_all(args.to, args.speech)
