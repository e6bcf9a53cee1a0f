"""The settings of every stage: one frozen dataclass each, every field with its unit and source.

"published" marks what the code of github.com/Kenzot007/SoundSourceLocalization (commit d5365c4)
does. `runs.py` has the runs, `experiments.py` the protocols.
"""

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax
    import numpy as np
    from numpy.typing import ArrayLike

    from ssl_jax.frontend.cues import Cues

AZIMUTHS = 72  # classes on the circle; class = azimuth / AZIMUTH_STEP (published)
AZIMUTH_STEP = 5  # degrees, counter-clockwise, 0 = front, 90 = left (SOFA convention)
DIRECTION_RULES = ("horizontal", "nearest_azimuth", "nearest")
# what training and evaluation may be kept from sharing
SPLIT_BY = ("clip", "speaker", "noise", "head")
# parts of a database, and their numbers in that order
PARTS = ("training", "evaluation", "validation")
TRAINING, EVALUATION, VALIDATION = range(3)
MAX_SNR_DB = 100  # on either side of 0: more than mixtures of 16 bits hold
# places of the maps that a network gets, see `FrontEnd.maps`
ITD_MAP = 0
ILD_MAP = 1
IC_MAP = 2
LEVEL_MAP = 3  # with `FrontEnd.levels` alone
SIDED_MAPS = slice(ITD_MAP, IC_MAP)  # they change their sign where the ears are swapped


def class_azimuths() -> "np.ndarray":
    """The azimuth of each class (72,), degrees."""
    # here, because `--help` need not wait for NumPy
    import numpy as np

    return AZIMUTH_STEP * np.arange(AZIMUTHS)


@dataclass(frozen=True)
class FrontEnd:
    """From two ear signals to cue maps."""

    fs: int = 44_100  # Hz, of the sound the cues are computed on (published)
    channels: int = 32  # gammatone filters per ear (published)
    low_freq: float = 80.0  # Hz, lowest centre frequency (published)
    filter_type: str = "gammatone"  # Slaney (1993), 4 cascaded biquads (published)
    hair_cell: str = "roman"  # Roman et al. (2003); published cues bypass it: "none"
    tau: float = 0.010  # s, window of the running correlation (published; Faller & Merimaa 2004)
    max_itd: float = 0.001  # s, lags searched on either side (published)
    max_ild: float = 7.0  # dB, ILD is clipped here (published)
    hop: int = 441  # samples between kept cue values; 1 keeps every sample (published)
    levels: bool = False  # the power of both ears is a fourth map; published: not

    @classmethod
    def published(cls) -> "FrontEnd":
        """The settings of the published cues, but a value every 10 ms instead of every sample.

        `FrontEnd.published().cues(signal)` computes them.
        """
        # every other setting but the hop has its published value already
        return cls(hair_cell="none")

    @property
    def cfs(self) -> "np.ndarray":
        """Centre frequencies (channels,), Hz, highest first."""
        # here, because `--help` need not wait for SciPy
        from ssl_jax.frontend.filter_design import centre_frequencies

        return centre_frequencies(self.fs, self.channels, self.low_freq)

    def arguments(self) -> dict:
        """These settings as `get_cues_clean` and `start_cues` take them."""
        names = ("fs", "cfs", "filter_type", "hair_cell", "tau", "max_itd", "max_ild", "hop")
        return {name: getattr(self, name) for name in names}

    def cues(self, signal: "ArrayLike") -> "Cues":
        """Cues of a two-ear sound (..., samples, 2) at `fs` Hz; see `get_cues_clean`."""
        from ssl_jax.frontend.binaural_feature import get_cues_clean

        return get_cues_clean(signal, **self.arguments())

    @property
    def map_count(self) -> int:
        """Maps that a network gets: ITD, ILD and IC, and with `levels` power."""
        return 4 if self.levels else 3

    def maps(self, cues: "Cues", axis: int) -> "jax.Array | np.ndarray":
        """Cues as a network gets them, float16, stacked along a new `axis`.

        The power is in dB, at least -100. The result is a NumPy array where the cues are, so that
        nothing on the host waits for a device; else it is a JAX array.
        """
        xp = cues.itd.__array_namespace__()
        maps = [cues.itd, cues.ild, cues.ic]
        if self.levels:
            maps.append(10 * xp.log10(xp.maximum(cues.power, 1e-10)))
        return xp.stack(maps, axis=axis).astype(xp.float16)


@dataclass(frozen=True)
class SoundFolders:
    """Folders of one's own sounds; None takes what comes with the package."""

    speech: Path | None = None  # see `sounds.speech.load_speech`
    noise: Path | None = None  # see `sounds.noises.load_noises`
    heads: Path | None = None  # see `sounds.hrtf.load_heads`
    targets: Path | None = None  # see `sounds.targets.load_targets`

    def names(self) -> dict[str, str]:
        """What settings call each folder."""
        paths = vars(self).items()
        return {kind: BUNDLED if path is None else Path(path).name for kind, path in paths}


BUNDLED = "bundled"  # what settings call the package's own sounds


@dataclass(frozen=True)
class Database:
    """Which mixtures there are."""

    speech: str = BUNDLED  # or the name of the folder it comes from; so the next two
    noise: str = BUNDLED
    heads: str = BUNDLED
    targets: str = BUNDLED  # of other sounds than speech, where `other_targets` asks for some
    clips: int = 700  # one-second speech clips, each from every azimuth (published)
    direction_rule: str = "nearest_azimuth"  # whatever its elevation (published)
    snr_low: float = 15.0  # dB, each noise's SNR is uniform in [snr_low, snr_high) (published code)
    snr_high: float = 40.0  # dB (published code)
    noise_kinds: tuple[str, ...] = ()  # to draw from, () for all of them (published)
    seed: int = 0  # of the run; every mixture draws from (seed, its own number)
    shard: int = 720  # mixtures in one file of the cue store (14 MB at hop 441)
    bits: int = 16  # of the WAV file a mixture passes through (published); 0 keeps floats
    disjoint: tuple[str, ...] = ()  # of SPLIT_BY; published: none, mixtures are split
    evaluation_share: float = 0.2  # of what is split by (published: of mixtures)
    validation_share: float = 0.0  # the same for a third part, on which choices are made
    rooms: int = 0  # rooms and heads to draw from, a third of them the free field; 0: no rooms
    other_targets: bool = False  # every second clip is another sound than speech (published: none)


@dataclass(frozen=True)
class Training:
    """One training run: a network, its data and its optimiser."""

    model: str = "three_branch"  # a key of networks.registry.NETWORKS
    clips: int = 700  # the first so many speech clips, 72 mixtures each
    epochs: int = 20  # the last epoch to train
    epochs_planned: int = 20  # what the log writes after the slash, as the published log does
    batch: int = 32  # mixtures per step
    learning_rate: float = 2e-3  # AdamW
    weight_decay: float = 0.01  # AdamW, decoupled (PyTorch's default)
    # of the mixtures, drawn at random (published), where none is kept apart
    evaluation_share: float = 0.2
    start_from: str = ""  # run whose weights it starts from, "" for fresh ones
    start_epoch: int = 0  # epoch of that run
    keep_optimiser: bool = False  # go on with that run's optimiser and cosine, not with fresh ones
    cosine_epochs: int = 0  # T_max of a per-epoch cosine, 0 for a constant rate
    cosine_floor: float = 1e-6  # eta_min of that cosine
    # above 0: a linear rise so long, then that cosine, both step by step
    warmup_epochs: float = 0.0
    restart_epochs: tuple[int, ...] = ()  # epochs that begin with a fresh optimiser and cosine
    # degrees, standard deviation of the target about the true class; 0: one class
    label_spread: float = 0.0
    last_share: float = 0.0  # this last share of the clips evaluates as well, trained on or not
    # of batches, seen through a quarter of their frames: for shorter windows
    short_share: float = 0.0
    # dB, standard deviation of smooth random curves on ILDs: unlike microphones
    coloured: float = 0.0
    # dB, standard deviation of such curves on the levels of both ears
    level_curves: float = 0.0
    # of the mixtures, heard through an ear canal, as at a manikin's eardrum
    canal_share: float = 0.0
    # ILDs are multiplied by 1 +- at most so much: heads shadow more or less
    ild_spread: float = 0.0
    # ears of half the mixtures of an epoch swapped, and left with right: more heads
    mirrored: bool = False
    seed: int = 0  # of the run: initial weights, split, order of mixtures

    @property
    def last_clips(self) -> range:
        """Numbers of the clips of `last_share`, one at least."""
        first = round((1 - self.last_share) * self.clips)
        return range(min(first, self.clips - 1), self.clips)


def as_settings(**parts) -> dict:
    """The given settings as one JSON-ready dict; dataclasses become dicts of their fields."""
    return {name: dict(vars(part)) if is_dataclass(part) else part for name, part in parts.items()}
