"""Binaural sound-source localisation in JAX: filterbank, hair cell, cues, database, networks."""

from importlib import import_module

MODULES = {"auditory_model": "frontend", "binaural_feature": "frontend"}
NAMES = {
    "frontend.auditory_model": ("GF_spectrogram", "Roman", "auditory_peripheral", "haircell_model"),
    "frontend.binaural_feature": ("Cues", "calculate_itd_ild_ic", "get_cues_clean"),
    "frontend.filter_design": ("centre_frequencies",),
    "recordings.azimuths": ("Azimuths",),
    "recordings.localisation": ("localise",),
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

        return tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
            "version"
        ]


def __getattr__(name: str):
    """Import a public name when it is first asked for, so that `--help` need not wait for JAX."""
    if name == "__version__":
        return version()
    if name in MODULES:
        return import_module(f"ssl_jax.{MODULES[name]}.{name}")
    if name in HOME:
        return getattr(import_module(f"ssl_jax.{HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
