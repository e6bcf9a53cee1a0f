"""Binaural sound-source localisation in JAX: filterbank, hair cell, cues, database, networks."""

from .auditory_model import GF_spectrogram, Roman, auditory_peripheral, haircell_model
from .binaural_feature import Cues, calculate_itd_ild_ic, get_cues_clean
from .filter_design import centre_frequencies

__all__ = [
    "Azimuths", "Cues", "GF_spectrogram", "Roman", "auditory_peripheral", "calculate_itd_ild_ic",
    "centre_frequencies", "get_cues_clean", "haircell_model", "localise",
]


def __getattr__(name: str):
    if name in ("Azimuths", "localise"):  # they bring the networks along: only for those who use them
        from . import localisation

        return getattr(localisation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
