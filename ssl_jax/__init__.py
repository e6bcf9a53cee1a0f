"""Binaural sound-source localisation in JAX: filterbank, hair cell, cues, database, networks."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # what __getattr__ below imports, for type checkers and editors
    from ssl_jax import metrics as metrics
    from ssl_jax.common.errors import InputError as InputError
    from ssl_jax.config import FrontEnd as FrontEnd
    from ssl_jax.frontend import auditory_model as auditory_model
    from ssl_jax.frontend import binaural_feature as binaural_feature
    from ssl_jax.frontend.auditory_model import GF_spectrogram as GF_spectrogram
    from ssl_jax.frontend.auditory_model import Roman as Roman
    from ssl_jax.frontend.auditory_model import auditory_peripheral as auditory_peripheral
    from ssl_jax.frontend.auditory_model import gammatone_filterbank as gammatone_filterbank
    from ssl_jax.frontend.auditory_model import hair_cell as hair_cell
    from ssl_jax.frontend.auditory_model import haircell_model as haircell_model
    from ssl_jax.frontend.binaural_feature import calculate_itd_ild_ic as calculate_itd_ild_ic
    from ssl_jax.frontend.binaural_feature import get_cues_clean as get_cues_clean
    from ssl_jax.frontend.binaural_feature import interaural_cues as interaural_cues
    from ssl_jax.frontend.cues import Cues as Cues
    from ssl_jax.frontend.filter_design import centre_frequencies as centre_frequencies
    from ssl_jax.frontend.streaming import cue_block as cue_block
    from ssl_jax.frontend.streaming import start_cues as start_cues
    from ssl_jax.recordings.azimuths import Azimuths as Azimuths
    from ssl_jax.recordings.azimuths import mean_azimuth as mean_azimuth
    from ssl_jax.recordings.baselines import cue_templates as cue_templates
    from ssl_jax.recordings.baselines import gcc_phat_azimuth as gcc_phat_azimuth
    from ssl_jax.recordings.baselines import gcc_phat_delay as gcc_phat_delay
    from ssl_jax.recordings.baselines import itd_ild_azimuth as itd_ild_azimuth
    from ssl_jax.recordings.localisation import localise as localise
    from ssl_jax.recordings.scene import render_scene as render_scene
    from ssl_jax.sounds.sofa import read_sofa as read_sofa

    __version__: str

MODULES = {
    "auditory_model": "frontend.auditory_model",
    "binaural_feature": "frontend.binaural_feature",
    "metrics": "metrics",
}
NAMES = {
    "common.errors": ("InputError",),
    "config": ("FrontEnd",),
    "frontend.auditory_model": (
        "GF_spectrogram",
        "Roman",
        "auditory_peripheral",
        "gammatone_filterbank",
        "hair_cell",
        "haircell_model",
    ),
    "frontend.binaural_feature": ("calculate_itd_ild_ic", "get_cues_clean", "interaural_cues"),
    "frontend.cues": ("Cues",),
    "frontend.filter_design": ("centre_frequencies",),
    "frontend.streaming": ("cue_block", "start_cues"),
    "recordings.azimuths": ("Azimuths", "mean_azimuth"),
    "recordings.baselines": (
        "cue_templates",
        "gcc_phat_azimuth",
        "gcc_phat_delay",
        "itd_ild_azimuth",
    ),
    "recordings.localisation": ("localise",),
    "recordings.scene": ("render_scene",),
    "sounds.sofa": ("read_sofa",),
}
HOME = {name: module for module, names in NAMES.items() for name in names}
__all__ = sorted([*HOME, *MODULES])


def version() -> str:
    """The version that is installed, or that of the checkout."""
    from importlib import metadata

    try:
        return metadata.version("ssl_jax")
    except metadata.PackageNotFoundError:
        import tomllib
        from pathlib import Path

        text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
        return tomllib.loads(text)["project"]["version"]


def __getattr__(name: str):
    """Import a public name when it is first asked for, so that `--help` need not wait for JAX."""
    if name == "__version__":
        return version()
    if name in MODULES:
        return import_module(f"ssl_jax.{MODULES[name]}")
    if name in HOME:
        return getattr(import_module(f"ssl_jax.{HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers: the public names, imported yet or not."""
    return sorted({*globals(), *__all__})
