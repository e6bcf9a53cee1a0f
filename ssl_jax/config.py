"""The settings of every stage: one frozen dataclass each, every field with its unit and source.

"published" marks what the code of github.com/Kenzot007/SoundSourceLocalization (commit d5365c4)
does; where the default here differs, the comment says so and why.
"""

from dataclasses import asdict, dataclass, field, replace

from .files import InputError

AZIMUTHS = 72  # classes on the circle; class = azimuth / AZIMUTH_STEP (published)
AZIMUTH_STEP = 5  # degrees, counter-clockwise, 0 = front, 90 = left (SOFA convention)

HAIR_CELLS = ("roman", "none", "halfwave", "envelope", "lindemann", "breebaart", "bernstein")
DIRECTION_RULES = ("horizontal", "nearest_azimuth")


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


@dataclass(frozen=True)
class Database:
    """Which mixtures there are."""

    corpus: str = "embedded"  # "embedded" or the name of the publishers' corpora in use
    clips: int = 700  # one-second speech clips, each from every azimuth (published)
    direction_rule: str = "horizontal"  # published: "nearest_azimuth", whatever its elevation
    snr_low: float = 15.0  # dB, each noise's SNR is uniform in [snr_low, snr_high) (published)
    snr_high: float = 40.0  # dB (published)
    seed: int = 0  # of the run; every mixture draws from (seed, its own index)
    shard: int = 720  # mixtures in one file of the cue store (14 MB at hop 441)


@dataclass(frozen=True)
class Training:
    """One training run: a network, its data and its optimiser."""

    model: str = "three_branch"  # "three_branch" or "resnet", see models.py
    clips: int = 700  # the first so many speech clips, 72 mixtures each
    epochs: int = 20  # the last epoch to train
    epochs_planned: int = 20  # what the log writes after the slash, as the published log does
    batch: int = 32  # mixtures per step
    learning_rate: float = 2e-3  # AdamW
    weight_decay: float = 0.01  # AdamW, decoupled (PyTorch's default)
    evaluation_share: float = 0.2  # of the mixtures, drawn at random (published)
    start_from: str = ""  # run whose weights it starts from, "" for fresh ones
    start_epoch: int = 0  # epoch of that run
    cosine_epochs: int = 0  # T_max of a per-epoch cosine, 0 for a constant rate
    cosine_floor: float = 1e-6  # eta_min of that cosine
    restart_epochs: tuple[int, ...] = ()  # epochs that begin with a fresh optimiser and cosine
    seed: int = 0  # of the run: initial weights, split, order of mixtures


# The three training runs of the published tables, and the notebook's residual CNN.
RUNS = {
    "model1": Training(clips=100, epochs=12, batch=16, learning_rate=1e-3),
    "model2": Training(),
    "model2_continued": Training(
        epochs=20, epochs_planned=40, learning_rate=1e-3, start_from="model2", start_epoch=16,
        cosine_epochs=20, restart_epochs=(17, 18),
    ),
    "resnet": Training(
        model="resnet", clips=100, epochs=1, batch=16, learning_rate=1e-3, weight_decay=0.02
    ),
}


@dataclass(frozen=True)
class Experiment:
    """One whole reproduction: `./reproduce.sh` with certain options."""

    name: str  # of the folders under results/ and work/
    database: Database
    front: FrontEnd
    runs: dict[str, Training] = field(default_factory=dict)


def experiment(data: bool = False, direction_rule: str | None = None, hair_cell: str | None = None,
               hop: int | None = None, seed: int = 0, quick: bool = False, name: str | None = None):
    """The experiment of the given options; None stands for the default.

    On the publishers' corpora (`data`) the defaults are the published settings: nearest azimuth
    whatever its elevation, no hair cell. On the embedded corpus they are the horizontal plane and
    Roman's hair cell.

    Raises
    ------
    InputError
        The hop or the seed is out of range.
    """
    hop = FrontEnd.hop if hop is None else hop
    if not 1 <= hop <= FrontEnd.fs:
        raise InputError(f"hop {hop}: out of range: use 1 to {FrontEnd.fs} samples")
    if not 0 <= seed < 2**31:
        raise InputError(f"seed {seed}: out of range: use 0 to {2**31 - 1}")
    corpus = "librispeech-esc10-cipic" if data else "embedded"
    usual = ("nearest_azimuth", "none") if data else ("horizontal", "roman")
    direction_rule, hair_cell = direction_rule or usual[0], hair_cell or usual[1]
    front = FrontEnd(hair_cell=hair_cell, hop=hop)
    database = Database(corpus=corpus, direction_rule=direction_rule, seed=seed)
    runs = {key: replace(RUNS[key], seed=seed) for key in ("model1", "model2", "model2_continued")}
    if quick:
        database = replace(database, clips=100)
        runs = {key: replace(run, clips=100, epochs=3, epochs_planned=3) for key, run in runs.items()}
        runs["model2_continued"] = replace(
            runs["model2_continued"], epochs=6, epochs_planned=6, start_epoch=3, restart_epochs=(4, 5)
        )
    # a run with other settings gets a folder of its own
    parts = [corpus, "quick" * quick, direction_rule * (direction_rule != usual[0]),
             f"haircell_{hair_cell}" * (hair_cell != usual[1]),
             f"hop{front.hop}" * (front.hop != FrontEnd.hop), f"seed{seed}" * (seed != 0)]
    return Experiment(name or "-".join(p for p in parts if p), database, front, runs)


def fingerprint(**parts) -> dict:
    """The given settings as one JSON-ready dict; dataclasses become dicts of their fields."""
    return {
        name: asdict(part) if hasattr(part, "__dataclass_fields__") else part
        for name, part in parts.items()
    }
