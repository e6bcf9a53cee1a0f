"""Where a sound comes from, over time: a recording of any rate and length in, azimuths out, all in blocks."""

import math
from collections import namedtuple
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from numpy.typing import ArrayLike

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.frontend.streaming import ENDLESS, cue_block, start_cues
from ssl_jax.networks.packed import default_weights, load_weights, temperature_of
from ssl_jax.recordings.azimuths import SURE, Azimuths, Windows, mirror_azimuth, peak_azimuth
from ssl_jax.recordings.blocks import filled, resampled
from ssl_jax.recordings.quality import Quality, overview
from ssl_jax.sounds.reading import check_rate, open_sound, sound_blocks

SHORTEST, LONGEST = 0.05, 60.0  # s, of a window: the networks' convolutions span 50 ms
TRAINED = 1.0  # s, the windows that the networks were trained on
BLOCK_FRAMES, LIVE_FRAMES = (
    200,
    10,
)  # frames of cues computed at a time, and of a sound that is coming in
BATCH_FRAMES = 6400  # frames in a batch of windows: 64 windows of one second
SIGNAL_BLOCK = 2**16  # samples of an array looked at a time


@partial(jax.jit, static_argnames="graph")
def _posterior(graph, state, cues, temperature):
    """(batch, maps, channels, frames) -> (batch, 72)."""
    return jax.nn.softmax(nnx.merge(graph, state)(cues) / temperature)


def _cue_frames(blocks: Iterable[np.ndarray], quality: Quality, frames: int) -> Iterator[Cues]:
    """Cues of a sound at the front-end's rate that `quality` watches, in runs (channels, about `frames`)."""
    stream, given = start_cues(**quality.front.arguments()), 0
    size = frames * stream.settings.step
    after = max(
        size // 2, 2 * stream.settings.step
    )  # samples of silence that bring out the last frames
    for block in filled(chain(blocks, [np.zeros((after, 2), np.float32)]), size):
        stream, cues = cue_block(stream, block)
        if stream.samples > ENDLESS - size:
            hours = ENDLESS / quality.front.fs / 3600
            raise InputError(f"{quality.name}: over {hours:.0f} hours: start again")
        kept = quality.frames - given if quality.ended else None
        cues = Cues._make(np.asarray(c)[:, :kept] for c in cues)
        given += cues.itd.shape[1]
        yield cues


def _windows(cues: Iterable[Cues], front: FrontEnd, span: int, step: int) -> Iterator[np.ndarray]:
    """(windows, maps, channels, span) float16 every `step` frames; a shorter sound is one window."""
    held: np.ndarray | None = None
    skip, none = 0, True  # frames still to skip before the next window starts
    for found in cues:
        part = np.asarray(front.maps(found, 0))
        part, skip = part[..., skip:], max(skip - part.shape[-1], 0)
        held = part if held is None else np.concatenate([held, part], axis=-1)
        if held.shape[-1] >= span:
            views = np.lib.stride_tricks.sliding_window_view(held, span, axis=-1)[:, :, ::step]
            yield np.moveaxis(views, 2, 0)
            used, none = views.shape[2] * step, False
            skip += max(used - held.shape[-1], 0)
            held = held[..., used:]
    if none and held is not None and held.shape[-1]:
        yield held[None]


# what estimates of a sound need: its name and rate, Hz; frames of a window, and from one to the next
Listener = namedtuple("Listener", "name fs model network front temperature span hop")


def listener(name: str, fs: float, window: float, step: float, model: str | None) -> Listener:
    """The network `model` and windows in frames; raises InputError for a number out of range."""
    check_rate(name, fs)
    for what, value, least in (("window", window, SHORTEST), ("step", step, 0.01)):
        if not least <= value <= LONGEST:
            raise InputError(f"{what} {value:g}: out of range: use {least} to {LONGEST:g} seconds")
    model = default_weights() if model is None else model
    network, front = load_weights(model)
    rate = front.fs / front.hop
    sizes = max(round(window * rate), 1), max(round(step * rate), 1)
    return Listener(name, int(fs), model, network, front, temperature_of(model), *sizes)


def _check_length(name: str, seconds: float) -> None:
    if seconds < SHORTEST:
        raise InputError(
            f"{name}: {1000 * seconds:.0f} ms of sound: use at least {1000 * SHORTEST:.0f} ms"
        )


def estimates(
    ear: Listener, quality: Quality, blocks, live: bool = False, wrap=iter
) -> Iterator[Windows]:
    """Estimates of a sound in blocks (any, 2), a batch of windows at a time, or, `live`, each once it is
    known; `wrap` may watch the cues on their way. Raises InputError at the end where nothing sounded."""
    front, rate, given = ear.front, ear.front.fs / ear.front.hop, 0
    frames, batch = (LIVE_FRAMES, 1) if live else (BLOCK_FRAMES, max(1, BATCH_FRAMES // ear.span))
    cues = wrap(_cue_frames(resampled(quality.watch(blocks), ear.fs, front.fs), quality, frames))
    classify = partial(_posterior, *nnx.split(ear.network))
    for windows in filled(_windows(cues, front, ear.span, ear.hop), batch):
        span, posterior = windows.shape[-1], np.array(classify(windows, ear.temperature))
        if quality.ended:  # what fills up the last batch is no window
            posterior = posterior[: (quality.frames - span) // ear.hop + 1 - given]
        if not len(posterior):
            break
        azimuth, confidence = peak_azimuth(posterior)
        first = (given + np.arange(len(posterior))) * ear.hop
        cases = quality.flags(first, span)
        silent = cases["silent"]
        azimuth[silent], confidence[silent], posterior[silent] = np.nan, 0, 1 / AZIMUTHS
        mirrored = np.where(silent, np.nan, mirror_azimuth(posterior))
        cases |= {
            "short": np.full(len(first), span < ear.span),
            "front or back": np.isfinite(mirrored),
        }
        cases |= {"unsure": (confidence < SURE) & ~silent}
        flags = tuple(tuple(name for name in cases if cases[name][i]) for i in range(len(first)))
        given += len(posterior)
        yield Windows((first + span / 2) / rate, azimuth, confidence, mirrored, posterior, flags)
    _check_length(ear.name, quality.samples / ear.fs)
    if not quality.heard:
        raise InputError(f"{ear.name}: silent: use a recording that something sounds in")


def localise_blocks(
    blocks, samples, fs, name, window=TRAINED, step=0.1, model=None, cues=False
) -> Azimuths:
    """`localise` for a sound in consecutive blocks (any, 2), `samples` in all; `name` is for messages."""
    ear = listener(name, fs, window, step, model)
    front, seconds = ear.front, samples / ear.fs
    _check_length(name, seconds)
    if (length := math.ceil(samples * front.fs / ear.fs)) > ENDLESS - front.fs * LONGEST:
        raise InputError(
            f"{name}: {seconds / 3600:.1f} hours of sound: cut it into pieces of 12 hours"
        )
    rate, frames, maps = (
        front.fs / front.hop,
        length // front.hop,
        list[np.ndarray](),
    )  # a second; in all

    def wrap(runs):
        runs = track(runs, f"localise {Path(name).name}", length // (BLOCK_FRAMES * front.hop) + 1)
        return overview(runs, maps, frames) if cues else runs

    quality = Quality(ear.fs, name, front)
    *values, flags = zip(*estimates(ear, quality, blocks, wrap=wrap), strict=True)
    found = [*map(np.concatenate, values), tuple(chain(*flags))]
    notes, span = quality.notes(), min(ear.span, frames)
    if span < ear.span:
        notes += (
            f"{seconds:.2f} s of sound, shorter than the window of {window:g} s, is one window",
        )
    kept = Cues._make(np.concatenate(maps, axis=-1)) if cues else None
    about = notes, ear.model, span / rate, ear.hop / rate, seconds, ear.fs, kept, front.cfs
    return Azimuths._make([*found, *about])


def localise(signal: ArrayLike, fs: float, window: float = TRAINED, step: float = 0.1,
             model: str | None = None, cues: bool = False) -> Azimuths:  # fmt: skip
    """Where a sound comes from, over time.

    Parameters
    ----------
    signal : (samples, 2), left ear first, full scale is 1, of any level and at least 50 ms
    fs : int, Hz, of any value: the sound is resampled to the network's rate
    window : float, s, of sound that each estimate rests on; the networks were trained on 1 s
    step : float, s, from one estimate to the next; both are rounded to whole frames of 10 ms
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
    A window is flagged as "silent" (below -100 dB of full scale; it has no azimuth), "quiet" (50 dB below the
    loudest so far), "one ear" (50 dB less in the other), "clipped", "narrow band" (over a quarter of the
    channels lie above fs / 2), "short" (less sound than the window asked for), "front or back" (`mirrored` is
    as likely) or "unsure" (confidence below 0.9). Swapped ears cannot be known: they mirror every azimuth.
    """
    signal = np.asarray(signal)
    if signal.ndim != 2 or signal.shape[1] != 2:
        raise InputError(
            f"signal: has shape {signal.shape}: two ears are needed, (samples, 2), left first"
        )
    if signal.dtype.kind == "i":  # integers have a full scale of their own
        signal = signal / np.float32(-float(np.iinfo(signal.dtype).min))
    if signal.dtype.kind != "f":
        raise InputError(
            f"signal: holds {signal.dtype}, not real numbers: use floats, full scale 1"
        )
    blocks = (signal[at : at + SIGNAL_BLOCK] for at in range(0, len(signal), SIGNAL_BLOCK))
    return localise_blocks(blocks, len(signal), fs, "signal", window, step, model, cues)


def localise_file(
    path: Path, window=TRAINED, step=0.1, model: str | None = None, cues=False
) -> Azimuths:
    """`localise` for a sound file of any format, rate and length, in bounded memory."""
    with open_sound(path) as sound:
        fs, samples, ears = sound.samplerate, sound.frames, sound.channels
    if ears != 2:
        raise InputError(
            f"{path}: has {ears} channel{'s' * (ears > 1)}: two ears are needed, left first"
        )
    return localise_blocks(
        sound_blocks(path, fs), samples, fs, str(path), window, step, model, cues
    )
