"""Cue maps of scenes that are rendered afresh, through KEMAR: a voice around the head, noise."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from ssl_jax.config import AZIMUTH_STEP, FrontEnd
from ssl_jax.frontend.cue_plot import IC, ILD, ITD, MapStyle
from ssl_jax.report.style import BLUE, EIGHTHS, VERMILLION, cue_map, plt, sounding
from ssl_jax.sounds.hrtf import KEMAR, select_directions
from ssl_jax.sounds.mixing import carry_around, mix, spatialise
from ssl_jax.sounds.noises import load_noises
from ssl_jax.sounds.sofa import read_sofa
from ssl_jax.sounds.speech import load_speech

PICTURE_MAX_ILD = ILD.limits[1]  # dB: a head gives up to 20; the networks' maps are clipped sooner
VOICE_S = 9  # consecutive seconds of the first speaker
SPLIT_HZ = 1500  # below it ITDs lead, above it ILDs do
HEARD = 1e-4  # of a channel's greatest power: below it are pauses, which hold no direction
NOISE_KIND = "rain"
SNRS = (0, 15)  # dB
VOICE_AZIMUTH = 60  # degrees
NOISE_AZIMUTHS = (200, 310)


@dataclass(frozen=True)
class Group:
    """Channels that are summed up together."""

    label: str
    channels: np.ndarray  # (channels,) of bool
    colour: str


@dataclass(frozen=True)
class SurroundCues:
    """Cues of a voice that was carried around the head."""

    itd: np.ndarray  # (channels, frames) ms
    ild: np.ndarray  # (channels, frames) dB
    heard: np.ndarray  # (channels, frames) of bool
    azimuth: np.ndarray  # (frames,) degrees


def picture_front(front: FrontEnd) -> FrontEnd:
    """The front-end with ILDs up to what pictures show."""
    return replace(front, max_ild=PICTURE_MAX_ILD)


def settings_text(front: FrontEnd) -> str:
    """The settings that pictures depend on, in words."""
    return (
        f"KEMAR, hair cell {front.hair_cell}, ILD up to ±{PICTURE_MAX_ILD:g} dB "
        f"(±{front.max_ild:g} in the networks' maps)"
    )


def kemar_responses(fs: int) -> np.ndarray:
    """KEMAR's responses (72, 2, taps) on the horizontal plane."""
    responses, _ = select_directions(read_sofa(KEMAR, fs), "horizontal")
    return responses.astype(np.float32)


def carry_voice(front: FrontEnd) -> SurroundCues:
    """A voice carried once around KEMAR, counter-clockwise from the front."""
    voice = load_speech(None, VOICE_S, front.fs)[:].reshape(-1)
    responses = kemar_responses(front.fs)
    around = np.append(np.arange(len(responses)), 0)  # 0 to 360 degrees
    ears = carry_around(voice, responses, around)
    cues = front.cues(ears.T)
    power = np.asarray(cues.power)
    heard = sounding(power, HEARD)
    ends = front.hop * (np.arange(power.shape[1]) + 1)  # samples
    return SurroundCues(np.asarray(cues.itd), np.asarray(cues.ild), heard, 360 * ends / len(voice))


def channel_medians(values: np.ndarray, heard: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Median over the heard ones of some channels: values (channels, frames) to (frames,).

    NaN where fewer than a third of the channels are heard.
    """
    medians = np.full(values.shape[1], np.nan)
    for frame in range(values.shape[1]):
        chosen = heard[:, frame] & channels
        if chosen.sum() >= channels.sum() / 3:
            medians[frame] = np.median(values[chosen, frame])
    return medians


def surround(front: FrontEnd) -> Figure:
    """A voice carried once around the head: ITD and ILD in every channel, and their medians."""
    front_of_picture = picture_front(front)
    carried = carry_voice(front_of_picture)
    cfs = front_of_picture.cfs
    groups = (
        Group("below 1.5 kHz", cfs < SPLIT_HZ, BLUE),
        Group("above 1.5 kHz", cfs >= SPLIT_HZ, VERMILLION),
    )
    figure, axes = plt.subplots(2, 2, figsize=(11, 6.4), sharex=True)
    for (left, right), style in zip(axes, (ITD, ILD), strict=True):
        draw_surround_map(figure, left, carried, cfs, style)
        draw_surround_medians(right, carried, groups, style)
    angles = np.arange(361)
    # Kuhn (1977): 3 a / c sin(azimuth), in ms, of a sphere of radius a = 8.75 cm
    itd = 3e3 * 0.0875 / 343 * np.sin(np.radians(angles))
    axes[0, 1].plot(angles, itd, color="0.2", lw=1.2, label="Kuhn (1977), low frequencies")
    axes[0, 1].legend(loc="upper right", markerscale=2)
    axes[1, 1].legend(loc="upper right", markerscale=2)
    for axis in axes[1]:
        axis.set(xlabel="azimuth (degrees, 90 = left)", xlim=(0, 360), xticks=EIGHTHS)
    figure.suptitle(
        f"A voice carried around the head in {VOICE_S} s; grey: pauses\n{settings_text(front)}",
        fontsize=11,
    )
    return figure


def draw_surround_map(
    figure: Figure, axis, carried: SurroundCues, cfs: np.ndarray, style: MapStyle
) -> None:
    """One cue in every channel over azimuth; pauses are masked."""
    values = np.where(carried.heard, getattr(carried, style.field), np.nan)
    image = cue_map(axis, values, cfs, 360, style.limits, style.colours)
    axis.set(title=f"{style.title} in {len(cfs)} channels", ylabel="centre frequency (Hz)")
    figure.colorbar(image, ax=axis, pad=0.01)


def draw_surround_medians(
    axis, carried: SurroundCues, groups: tuple[Group, ...], style: MapStyle
) -> None:
    """The medians of one cue over groups of channels, over azimuth."""
    values = getattr(carried, style.field)
    for group in groups:
        medians = channel_medians(values, carried.heard, group.channels)
        axis.plot(carried.azimuth, medians, ".", ms=3, color=group.colour, label=group.label)
    axis.axhline(0, color="0.5", lw=0.8)
    axis.set(title=f"{style.title}, median over channels", ylim=np.multiply(style.limits, 1.1))


def scene(front: FrontEnd) -> Figure:
    """One scene at SNR 0 and at SNR 15 dB: ITD, ILD and IC."""
    front_of_picture = picture_front(front)
    speech = load_speech(None, 1, front.fs)[0]
    noises = load_noises(None, (NOISE_KIND,), front.fs).waveforms[0, :2]
    classes = np.array((VOICE_AZIMUTH, *NOISE_AZIMUTHS)) // AZIMUTH_STEP
    responses = kemar_responses(front.fs)[classes]
    # 3 sources, 2 ears, samples
    ears = spatialise(jnp.asarray([speech, *noises]), jnp.asarray(responses))
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.8), sharex=True, sharey=True)
    for row, snr in zip(axes, SNRS, strict=True):
        mixture = mix(ears[0], ears[1:], jnp.full(2, float(snr)))
        cues = front_of_picture.cues(mixture.T)
        for axis, style in zip(row, (ITD, ILD, IC), strict=True):
            values = np.asarray(getattr(cues, style.field))
            image = cue_map(axis, values, front.cfs, 1.0, style.limits, style.colours)
            axis.set_title(f"{style.title}, SNR {snr} dB")
            figure.colorbar(image, ax=axis, pad=0.01)
    for axis in axes[:, 0]:
        axis.set_ylabel("centre frequency (Hz)")
    for axis in axes[1]:
        axis.set_xlabel("time (s)")
    first, second = NOISE_AZIMUTHS
    sources = f"Speech at {VOICE_AZIMUTH}°, {NOISE_KIND} at {first}° and {second}°"
    figure.suptitle(
        f"{sources}\n{settings_text(front)}",
        fontsize=11,
    )
    return figure
