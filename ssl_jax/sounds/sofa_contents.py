"""What is used of a SOFA file: directions as the listener sees them, responses of both ears."""

from dataclasses import dataclass

import numpy as np

from ssl_jax.common.angles import circle_degrees, signed_degrees
from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say
from ssl_jax.sounds.hdf5_guard import text_attribute
from ssl_jax.sounds.reading import RATES
from ssl_jax.sounds.sofa_fields import (
    SofaFile,
    check_memory,
    needed_positions,
    read_field,
    read_positions,
    spare_positions,
)

ON_GRID = 0.5  # degrees: a direction this near counts as measured there
MAX_SECONDS = 2  # of a response; longer rooms are cut by whoever has them
EVEN = 1e-3  # of a step of frequency: how far one may be off an even grid
WRAPPED = 0.05  # of the power in the last quarter: more is no tail but a start before time 0
# of a response's peak: beyond them powers leave the range of float32. NetCDF holds 9.97e36 where
# nobody wrote a value
QUIETEST = 1e-12
LOUDEST = 1e12
SECONDS = ("second", "seconds", "s")  # units of Data.Delay
SAMPLES = ("", "sample", "samples")


@dataclass(frozen=True)
class Contents:
    """Responses and directions of a file as it states them."""

    hrirs: np.ndarray  # (M, 2, taps), the ear stated as left first
    azimuth: np.ndarray  # (M,) degrees
    elevation: np.ndarray  # (M,) degrees
    fs: int  # Hz
    right_first: bool  # the file has the right ear first


@dataclass(frozen=True)
class Responses:
    """Responses of a file as they are stored: measurement by measurement, receivers in order."""

    hrirs: np.ndarray  # (M, 2, taps)
    fs: int  # Hz


def read_contents(sofa: SofaFile) -> Contents:
    """Directions, ears and responses of a file; silent and unwritten directions are left out."""
    azimuth, elevation = read_directions(sofa)
    right_first = is_right_first(sofa)
    # what is small is read before what is large, so that most faults cost no memory
    if sofa.data == "Data.Real":
        stored = read_transfer_functions(sofa)
        delay = np.zeros((sofa.directions, 2))
    else:
        fs = read_rate(sofa)
        check_length(sofa, sofa.samples, fs)
        delay = read_delays(sofa, fs)
        stored = Responses(read_responses(sofa, sofa.data), fs)
    hrirs = stored.hrirs
    if right_first:
        hrirs = hrirs[:, ::-1]
        delay = delay[:, ::-1]
    loudest = np.abs(hrirs).max(axis=-1)
    heard = ((loudest > QUIETEST) & (loudest < LOUDEST)).all(axis=-1)
    if not heard.any():
        raise InputError(
            f"{sofa.path}: {sofa.data} has silent or senseless responses: fetch the file again"
        )
    if not heard.all():
        first = np.flatnonzero(~heard)[0]
        say(
            f"{sofa.path}: {np.sum(~heard)} of {len(heard)} directions are silent or senseless:"
            f" left out, azimuth {azimuth[first]:g}, elevation {elevation[first]:g} first"
        )
        hrirs, delay = hrirs[heard], delay[heard]
        azimuth, elevation = azimuth[heard], elevation[heard]
    return Contents(apply_delays(hrirs, delay), azimuth, elevation, stored.fs, right_first)


def read_directions(sofa: SofaFile) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation (directions,), degrees, of sources as seen by the listener.

    All positions are points of one room (AES69: global coordinates), spherical ones too. So the
    listener's place is subtracted from the source's, whatever the convention.
    """
    if sofa.free_field:
        return free_field_directions(sofa)
    return room_directions(sofa)


def free_field_directions(sofa: SofaFile) -> tuple[np.ndarray, np.ndarray]:
    """`read_directions` where one listener looks ahead and every measurement has a source."""
    view = spare_positions(sofa, "ListenerView", (2,), (1, sofa.rows))
    if view is not None and np.abs(signed_degrees(view.azimuth)).max() > ON_GRID:
        raise InputError(f"{sofa.path}: the listener does not face azimuth 0: turn its coordinates")
    check_level(sofa, None if view is None else view.elevation)
    source = read_positions(sofa, "SourcePosition", (2,), (sofa.rows,), default_type="")
    listener = spare_positions(sofa, "ListenerPosition", (2, 3), (1, sofa.rows))
    if listener is None or not listener.distance.any():
        # an angle needs no distance here: some files state none
        return source.azimuth, source.elevation
    return angles_of(sofa, source.metres() - listener.metres())


def room_directions(sofa: SofaFile) -> tuple[np.ndarray, np.ndarray]:
    """`read_directions` where sources, their emitters or the listener's view may move."""
    rows = (1, sofa.rows)
    view = needed_positions(sofa, "ListenerView", (2,), rows)
    facing = np.zeros(1)
    if view is not None:
        check_level(sofa, view.elevation)
        facing = view.azimuth
    places = []
    for name, sizes in (
        ("SourcePosition", rows),
        ("ListenerPosition", rows),
        ("EmitterPosition", (1, sofa.emitters)),
    ):
        positions = needed_positions(sofa, name, (2, 3), sizes)
        places.append(np.zeros((1, 3)) if positions is None else positions.metres())
    source, listener, emitter = places
    from_listener = (source - listener)[:, None] + emitter
    seen = np.broadcast_to(from_listener, (sofa.rows, sofa.emitters, 3))
    azimuth, elevation = angles_of(sofa, seen)
    return circle_degrees(azimuth - facing[:, None]).ravel(), elevation.ravel()


def check_level(sofa: SofaFile, elevation: np.ndarray | None) -> None:
    """Raise InputError where the listener looks up or down."""
    if elevation is not None and np.abs(elevation).max() > ON_GRID:
        raise InputError(f"{sofa.path}: the listener does not face level: turn its coordinates")


def angles_of(sofa: SofaFile, metres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth in [0, 360) and elevation (...), degrees, of points (..., 3)."""
    x, y, z = np.moveaxis(metres, -1, 0)
    flat = np.hypot(x, y)
    if not np.hypot(flat, z).all():
        raise InputError(f"{sofa.path}: a source stands where the listener is: move it away")
    return circle_degrees(np.degrees(np.arctan2(y, x))), np.degrees(np.arctan2(z, flat))


def is_right_first(sofa: SofaFile) -> bool:
    """Does ReceiverPosition state the right ear first? No, where it does not tell them apart."""
    ears = spare_positions(sofa, "ReceiverPosition", (2, 3), (2,))
    if ears is None:
        return False
    first, second = np.round(np.sin(np.radians(ears.azimuth)), 9)
    if first == 0 and second == 0:
        say(
            f"{sofa.path}: ReceiverPosition tells no left ear: the first receiver is taken as"
            " the left; --ears swap takes the second"
        )
        return False
    if first * second >= 0:
        raise InputError(
            f"{sofa.path}: ReceiverPosition puts no ear on each side: use a binaural file"
        )
    return bool(first < 0)


def read_rate(sofa: SofaFile) -> int:
    """The sampling rate, Hz."""
    rates = np.unique(read_field(sofa, "Data.SamplingRate", (0, 1), (1, sofa.rows)))
    low, high = RATES
    if len(rates) != 1 or not low <= rates[0] <= high or rates[0] != round(rates[0]):
        raise InputError(
            f"{sofa.path}: Data.SamplingRate is {rates[:3]}: use one whole number in {RATES}"
        )
    return int(rates[0])


def check_length(sofa: SofaFile, samples: int, fs: int) -> None:
    """Raise InputError for responses of over MAX_SECONDS."""
    if samples > MAX_SECONDS * fs:
        raise InputError(
            f"{sofa.path}: responses of {samples / fs:.1f} s, over {MAX_SECONDS}: cut them"
        )


def read_delays(sofa: SofaFile, fs: int) -> np.ndarray:
    """Delays (directions, 2), samples, in the receivers' order; the file may have seconds."""
    if "Data.Delay" not in sofa.file:
        return np.zeros((sofa.directions, 2))
    delay = read_field(sofa, "Data.Delay", (2, 3), (1, sofa.rows), 2)
    unit = text_attribute(sofa.path, sofa.file["Data.Delay"], "Units").strip().lower()
    if unit in SECONDS:
        delay = delay * fs
    elif unit not in SAMPLES:
        raise InputError(f"{sofa.path}: Data.Delay is in {unit[:40]!r}: use samples or seconds")
    most = MAX_SECONDS * fs - sofa.samples
    if delay.min() < 0 or delay.max() > most:
        raise InputError(
            f"{sofa.path}: Data.Delay is outside 0..{most} samples: fetch the file again"
        )
    check_memory(sofa, sofa.samples + int(np.ceil(delay.max())))
    stated = delay.reshape(*delay.shape[:2], -1)  # (1 or rows, 2, 1 or emitters)
    every = np.broadcast_to(stated, (sofa.rows, 2, sofa.emitters))
    return np.moveaxis(every, 2, 1).reshape(-1, 2)


def read_responses(sofa: SofaFile, name: str) -> np.ndarray:
    """Responses or parts of transfer functions (directions, 2, samples), receivers in order."""
    stored = read_field(sofa, name, (len(sofa.axes),), (sofa.rows,), 2)
    if stored.shape != sofa.shape:
        raise InputError(f"{sofa.path}: {name} does not fit {sofa.data}: fetch the file again")
    order = [sofa.axes.index(axis) for axis in "mern" if axis in sofa.axes]
    return stored.transpose(order).reshape(sofa.directions, 2, -1)


def read_transfer_functions(sofa: SofaFile) -> Responses:
    """Responses of transfer functions on an even grid of frequencies up to half the rate.

    The grid begins at 0 Hz, or one step on: then the gain at 0 Hz is the first one stated. Phases
    that refer to the middle of the head let the nearer ear hear the sound before time 0, which is
    the end of a response. Then all responses begin a quarter of their length earlier.
    """
    frequencies = read_field(sofa, "N", (1,), (sofa.samples,))
    steps = frequencies_in_steps(sofa, frequencies)
    fs = 2 * frequencies[-1]
    low, high = RATES
    if not low <= fs <= high or abs(fs - round(fs)) > EVEN:
        raise InputError(
            f"{sofa.path}: the last frequency, {frequencies[-1]:g} Hz, is not half of a whole rate"
            f" in {RATES}: use responses in time"
        )
    check_length(sofa, 2 * steps, round(fs))
    bins = slice(steps + 1 - len(frequencies), None)
    spectra = np.empty((sofa.directions, 2, steps + 1), complex)
    spectra.real[..., bins] = read_responses(sofa, "Data.Real")
    spectra.imag[..., bins] = read_responses(sofa, "Data.Imag")
    if len(frequencies) == steps:
        spectra[..., 0] = np.abs(spectra[..., 1])
    hrirs = np.fft.irfft(spectra, 2 * steps)
    power = np.einsum("ijk,ijk->k", hrirs, hrirs)
    quarter = hrirs.shape[-1] // 4
    if quarter and power[-quarter:].sum() > WRAPPED * power.sum():
        hrirs = np.roll(hrirs, quarter, axis=-1)
    return Responses(hrirs, round(fs))


def frequencies_in_steps(sofa: SofaFile, frequencies: np.ndarray) -> int:
    """The last of the frequencies (n,), Hz, in steps of their grid, which must be even."""
    if len(frequencies) > 1:
        step = (frequencies[-1] - frequencies[0]) / (len(frequencies) - 1)
        first = round(frequencies[0] / step) if step > 0 else -1
        grid = step * (first + np.arange(len(frequencies)))
        if first in (0, 1) and np.abs(frequencies - grid).max() <= EVEN * step:
            return first + len(frequencies) - 1
    raise InputError(
        f"{sofa.path}: its frequencies are no even grid from 0 Hz or one step on:"
        " use responses in time"
    )


def apply_delays(hrirs: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """Responses (n, 2, taps) with a delay (n, 2), samples, of each; longer by the longest."""
    longest = int(np.ceil(delay.max()))
    if longest == 0:
        return hrirs
    padded = np.pad(hrirs, ((0, 0), (0, 0), (0, longest)))
    samples = padded.shape[-1]
    # what is pushed past either end falls into the half that is cut off
    nfft = 2 * samples
    one_sample = -2j * np.pi * np.fft.rfftfreq(nfft)
    # one at a time: spectra of all take eight times as much memory
    for response, lag in zip(padded, delay, strict=True):
        turn = np.exp(one_sample * lag[:, None])
        response[:] = np.fft.irfft(np.fft.rfft(response, nfft) * turn, nfft)[:, :samples]
    return padded
