"""Where a sound comes from, over time: a recording of any rate and length in, azimuths out, all in blocks."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from scipy import signal as sps

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.frontend.streaming import ENDLESS, cue_block, start_cues
from ssl_jax.networks.packed import default_weights, load_weights
from ssl_jax.recordings.azimuths import Azimuths, peak_azimuth
from ssl_jax.recordings.quality import Quality, overview
from ssl_jax.sounds.reading import check_rate, open_sound, sound_blocks

SHORTEST, LONGEST = 0.05, 60.0  # s, of a window: the networks' convolutions span 50 ms
TRAINED = 1.0  # s, the windows that the networks were trained on
BLOCK_FRAMES = 200  # frames of cues computed at a time
BATCH_FRAMES = 6400  # frames in a batch of windows: 64 windows of one second
SIGNAL_BLOCK = 2**16  # samples of an array looked at a time
SURE = 0.9  # confidence below this is flagged: at SNR 15 dB few such windows are right


@partial(jax.jit, static_argnames="graph")
def _posterior(graph, state, cues):
    """(batch, maps, channels, frames) -> (batch, 72)."""
    return jax.nn.softmax(nnx.merge(graph, state)(cues))


def resampled(blocks: Iterable[np.ndarray], fs: int, wanted: int) -> Iterator[np.ndarray]:
    """The sound at another rate, block by block: what `scipy.signal.resample_poly` makes of the whole."""
    up, down = Fraction(wanted, fs).as_integer_ratio()
    if up == down:
        yield from blocks
        return
    longest = max(up, down)
    taps = sps.firwin(20 * longest + 1, 1 / longest, window=("kaiser", 5.0)).astype(np.float32)  # its default
    reach = math.ceil(10 * longest / up) + 1  # samples on either side that a result may need
    # `held` starts where both rates meet; results of its first `known` samples were given already
    held, known = np.zeros((0, 2), np.float32), 0
    for block in chain(blocks, [None]):
        stop = end = len(held)  # of the sound, unless another block has come
        if block is not None:
            held = np.concatenate([held, block])
            # the next results end where both rates meet too, and need nothing after what is here
            stop = (len(held) - reach) // down * down
            end = stop + reach
        if stop > known:
            result = sps.resample_poly(held[:end], up, down, axis=0, window=taps)
            yield result[known // down * up : math.ceil(stop * up / down)].astype(np.float32)
            drop = max(stop - math.ceil(reach / down) * down, 0)
            held, known = held[drop:], stop - drop


def _filled(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same rows in parts of one size, and so in one compiled program; zeros fill up the last one."""
    held = None
    for part in parts:
        held = part if held is None else np.concatenate([held, part])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield np.concatenate([held, np.zeros((size - len(held), *held.shape[1:]), held.dtype)])


def _cue_frames(blocks: Iterable[np.ndarray], front: FrontEnd, frames: int) -> Iterator[Cues]:
    """Cues of a sound at the front-end's rate, the first `frames` of them in runs (channels, some)."""
    stream = start_cues(**front.arguments())
    size = BLOCK_FRAMES * stream.settings.step
    silence = np.zeros((size // 2, 2), np.float32)  # which brings out the last frames
    for block in _filled(chain(blocks, [silence]), size):
        stream, cues = cue_block(stream, block)
        cues = Cues(*(np.asarray(c)[:, :frames] for c in cues))
        frames -= cues.itd.shape[1]
        yield cues


def _windows(cues: Iterable[Cues], front: FrontEnd, span: int, step: int) -> Iterator[np.ndarray]:
    """Windows of `span` frames every `step` frames, (windows, maps, channels, span) float16."""
    held, skip = None, 0  # frames still to skip before the next window starts
    for part in cues:
        part = np.asarray(front.maps(part, 0))
        part, skip = part[..., skip:], max(skip - part.shape[-1], 0)
        held = part if held is None else np.concatenate([held, part], axis=-1)
        if held.shape[-1] >= span:
            views = np.lib.stride_tricks.sliding_window_view(held, span, axis=-1)[:, :, ::step]
            yield np.moveaxis(views, 2, 0)
            used = views.shape[2] * step
            skip += max(used - held.shape[-1], 0)
            held = held[..., used:]


def localise_blocks(blocks, samples, fs, name, window=TRAINED, step=0.1, model=None, cues=False) -> Azimuths:
    """`localise` for a sound in consecutive blocks (any, 2), `samples` in all; `name` is for messages."""
    check_rate(name, fs)
    for what, value, least in (("window", window, SHORTEST), ("step", step, 0.01)):
        if not least <= value <= LONGEST:
            raise InputError(f"{what} {value:g}: out of range: use {least} to {LONGEST:g} seconds")
    fs, seconds = int(fs), samples / fs
    if seconds < SHORTEST:
        raise InputError(f"{name}: {1000 * seconds:.0f} ms of sound: use at least {1000 * SHORTEST:.0f} ms")
    model = default_weights() if model is None else model
    network, front = load_weights(model)
    length = math.ceil(samples * front.fs / fs)
    if length > ENDLESS - front.fs * LONGEST:
        raise InputError(f"{name}: {seconds / 3600:.1f} hours of sound: cut it into pieces of 12 hours")
    rate, frames = front.fs / front.hop, length // front.hop  # frames a second, and in all
    span, hop = min(max(round(window * rate), 1), frames), max(round(step * rate), 1)
    quality, maps = Quality(samples, fs, name, rate, front.cfs), []
    runs = _cue_frames(resampled(quality.watch(blocks), fs, front.fs), front, frames)
    runs = track(runs, f"localise {Path(name).name}", total=length // (BLOCK_FRAMES * front.hop) + 1)
    windows = _windows(overview(runs, maps, frames) if cues else runs, front, span, hop)
    classify = partial(_posterior, *nnx.split(network))
    posterior = [np.asarray(classify(some)) for some in _filled(windows, max(1, BATCH_FRAMES // span))]
    posterior = np.concatenate(posterior)[: (frames - span) // hop + 1]

    azimuth, confidence = peak_azimuth(posterior)
    first = np.arange(len(posterior)) * hop
    silent, flags = quality.flags(first, span)
    azimuth[silent], confidence[silent], posterior[silent] = np.nan, 0, 1 / AZIMUTHS
    notes = quality.notes()
    if span < round(window * rate):
        notes += (f"{seconds:.2f} s of sound, shorter than the window of {window:g} s, is one window",)
        flags = [found + ("short",) for found in flags]
    unsure = (confidence < SURE) & ~silent
    flags = tuple(found + ("unsure",) * int(u) for found, u in zip(flags, unsure, strict=True))
    times, maps = (first + span / 2) / rate, Cues(*np.concatenate(maps, axis=-1)) if cues else None
    sizes = (span / rate, hop / rate, seconds, fs)
    return Azimuths(times, azimuth, confidence, posterior, flags, notes, model, *sizes, maps, front.cfs)


def localise(signal, fs, window=TRAINED, step=0.1, model=None, cues=False) -> Azimuths:
    """Where a sound comes from, over time.

    Parameters
    ----------
    signal : (samples, 2), left ear first, full scale is 1
        A binaural recording; at least 50 ms. Its level does not matter.
    fs : int, Hz
        Any; the sound is resampled to the network's rate.
    window : float, s
        Of sound that each estimate rests on; the networks were trained on 1 s.
    step : float, s
        From one estimate to the next; both are rounded to whole frames of 10 ms.
    model : str, optional, one of `networks.packed.available()`
    cues : bool, whether to keep the cue maps too, averaged to 4000 columns at most: for pictures

    Returns
    -------
    Azimuths

    Raises
    ------
    InputError
        The signal is not two ears of finite numbers, too short or silent, or a setting out of range.

    Notes
    -----
    A window is flagged, in `Azimuths.flags`, as "silent" (below -100 dB of full scale; it has no azimuth),
    "quiet" (50 dB below the loudest window), "one ear" (50 dB less in the other), "clipped", "narrow
    band" (over a quarter of the channels lie above fs / 2), "short" (less sound than the window asked
    for) or "unsure" (confidence below 0.9). Swapped ears cannot be known: they mirror every azimuth.
    """
    signal = np.asarray(signal)
    if signal.ndim != 2 or signal.shape[1] != 2:
        raise InputError(f"signal: has shape {signal.shape}: two ears are needed, (samples, 2), left first")
    if signal.dtype.kind == "i":  # integers have a full scale of their own
        signal = signal / np.float32(-float(np.iinfo(signal.dtype).min))
    if signal.dtype.kind != "f":
        raise InputError(f"signal: holds {signal.dtype}, not real numbers: use floats, full scale 1")
    blocks = (signal[at : at + SIGNAL_BLOCK] for at in range(0, len(signal), SIGNAL_BLOCK))
    return localise_blocks(blocks, len(signal), fs, "signal", window, step, model, cues)


def localise_file(path: Path, window=TRAINED, step=0.1, model=None, cues=False) -> Azimuths:
    """`localise` for a sound file of any format, rate and length, in bounded memory."""
    with open_sound(path) as sound:
        fs, samples, ears = sound.samplerate, sound.frames, sound.channels
    if ears != 2:
        raise InputError(f"{path}: has {ears} channel{'s' * (ears > 1)}: two ears are needed, left first")
    return localise_blocks(sound_blocks(path, fs), samples, fs, str(path), window, step, model, cues)
