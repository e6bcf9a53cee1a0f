"""One head's responses and directions, read from a SOFA file and checked against each other."""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy import signal

from ssl_jax.common.angles import circle_degrees
from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import require_file
from ssl_jax.common.progress import say
from ssl_jax.sounds.laterality import lateral_itd, side_vote
from ssl_jax.sounds.sofa_contents import ON_GRID, Contents, read_contents
from ssl_jax.sounds.sofa_fields import MAX_BYTES, read_layout

__all__ = ["ON_GRID", "Sofa", "read_sofa"]

AGREED = 0.5  # mean vote that decides which side is left
# s, of a source at 90 degrees: measured people and manikins have 0.57 to 0.82 ms
LEAST_ITD, MOST_ITD = 0.3e-3, 1.0e-3
# how a file may be read, "" as its responses say
EARS = ("", "stated", "swap")
AZIMUTH_WAYS = ("", "stated", "clockwise")
# what h5py raises for damaged files
BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)


@dataclass(frozen=True)
class Sofa:
    """A head, or a room that a head heard."""

    name: str
    hrirs: np.ndarray  # (M, 2, taps), left ear first
    azimuth: np.ndarray  # (M,) degrees, counter-clockwise seen from above: 0 = front, 90 = left
    elevation: np.ndarray  # (M,) degrees
    fs: int  # Hz


def read_sofa(path: Path | str, fs: int | None = None, ears: str = "", azimuths: str = "") -> Sofa:
    """The head of a SOFA file (AES69-2022), in the free field or in a room.

    Delays are applied. Each measurement and each of its emitters is a direction, as the listener
    sees it. The conventions are those of `sofa_fields.CONVENTIONS`.

    Parameters
    ----------
    fs : Hz; the responses are resampled to it if given
    ears : "stated" as in the file, "swap" exchanges them
    azimuths : "stated" as in the file, "clockwise" mirrors them
        Where neither is given, the responses decide (`settle_sides`) and are checked
        (`check_itd`).

    Raises
    ------
    InputError
        For anything else, anything damaged, and anything too large.
    """
    path = Path(path)
    if ears not in EARS or azimuths not in AZIMUTH_WAYS:
        raise InputError(
            f"ears {ears!r}, azimuths {azimuths!r}: use one of {EARS} and of {AZIMUTH_WAYS}"
        )
    require_file(path)
    try:
        with h5py.File(path, "r") as file:
            contents = read_contents(read_layout(path, file))
    except InputError:
        raise
    except BROKEN as error:
        reason = error_reason(error)
        raise InputError(f"{path}: not a readable SOFA ({reason}): fetch it again") from None
    sofa = Sofa(path.stem, contents.hrirs, contents.azimuth, contents.elevation, contents.fs)
    if ears == "swap":
        sofa = with_ears_swapped(sofa)
    if azimuths == "clockwise":
        sofa = with_azimuths_mirrored(sofa)
    if not ears and not azimuths:
        sofa = settle_sides(path, sofa, contents)
        check_itd(path, sofa)
    if fs is None or fs == sofa.fs:
        return sofa
    return resample_head(path, sofa, fs)


def with_ears_swapped(sofa: Sofa) -> Sofa:
    """The head with its ears exchanged."""
    return replace(sofa, hrirs=sofa.hrirs[:, ::-1])


def with_azimuths_mirrored(sofa: Sofa) -> Sofa:
    """The head with azimuths that count the other way round."""
    return replace(sofa, azimuth=circle_degrees(-sofa.azimuth))


def settle_sides(path: Path, sofa: Sofa, contents: Contents) -> Sofa:
    """The head with the ears and azimuths that its responses vote for; see `side_vote`.

    Where the responses contradict a file that states its right ear first, its ears stay in the
    order in which they are stored. Where they contradict a file with the left ear first, its
    azimuths run clockwise. Either is said in one line.

    Raises
    ------
    InputError
        Where the responses fit neither.
    """
    vote = side_vote(sofa.hrirs, sofa.azimuth, sofa.elevation, sofa.fs)
    if vote is None or vote >= AGREED:
        return sofa
    if vote > -AGREED:
        raise InputError(
            f"{path}: levels and onsets of its responses fit neither its azimuths nor their mirror"
            " image: say how to read it with --ears and --azimuths, or use another"
        )
    if contents.right_first:
        said = "the ear stated as the right one is the left"
        settled = with_ears_swapped(sofa)
    else:
        said = "its azimuths run clockwise"
        settled = with_azimuths_mirrored(sofa)
    say(f"{path}: by its responses, {said}: read so; --ears or --azimuths overrides it")
    return settled


def check_itd(path: Path, sofa: Sofa) -> None:
    """Compare the interaural time difference of lateral sources with that of heads.

    A small one is only said: two microphones may stand close together. Files without a lateral
    direction are not checked.

    Raises
    ------
    InputError
        Where it is larger than any head's.
    """
    itd = lateral_itd(sofa.hrirs, sofa.azimuth, sofa.elevation, sofa.fs)
    if itd is None:
        return
    about = f"{path}: its ears hear a source at 90 degrees {itd * 1e3:.2f} ms apart"
    if itd > MOST_ITD:
        raise InputError(
            f"{about}, over {MOST_ITD * 1e3:g}: Data.Delay seems to be in its responses already,"
            " set it to 0, or read the file as it is with --ears stated"
        )
    if itd < LEAST_ITD:
        say(
            f"{about}, heads have over {LEAST_ITD * 1e3:g}: if its responses are aligned,"
            " put the delays into Data.Delay, in samples"
        )


def resample_head(path: Path, sofa: Sofa, fs: int) -> Sofa:
    """The head at another rate."""
    if not fs > 0 or fs != int(fs):
        raise InputError(f"{path}: cannot be read at {fs} Hz: use a whole number above 0")
    if sofa.hrirs.nbytes * fs > MAX_BYTES * sofa.fs:
        raise InputError(f"{path}: takes over {MAX_BYTES >> 20} MiB at {fs} Hz: use a smaller set")
    # a filter's gain is its sum over samples, so fewer samples need larger ones
    hrirs = signal.resample_poly(sofa.hrirs, fs, sofa.fs, axis=-1) * (sofa.fs / fs)
    return replace(sofa, hrirs=hrirs, fs=fs)
