"""What `fingerprint` measures of databases, kept in a folder."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssl_jax.common.files import atomic_write, settle_settings
from ssl_jax.common.progress import track
from ssl_jax.config import FrontEnd, SoundFolders, as_settings
from ssl_jax.studies.fingerprint import Layers, Statistics, statistics
from ssl_jax.studies.fingerprint_corpora import (
    Corpus,
    Setting,
    SnrRange,
    at_snr,
    draw_from_first,
    some_recipes,
    with_setting,
)
from ssl_jax.studies.published_weights import read_npz


class Measurements:
    """Statistics of one corpus, each measured when first asked for and kept in a folder.

    So a study that was stopped goes on where it was.
    """

    def __init__(
        self, folder: Path, checkpoints: Sequence[Layers], corpus: Corpus, front: FrontEnd
    ):
        self.folder = folder
        self.checkpoints = checkpoints
        self.corpus = corpus
        self.front = front

    def check(self, weights: dict[str, str]) -> None:
        """Raise InputError if the folder holds what was measured of other settings or sounds.

        Parameters
        ----------
        weights : checksum of each checkpoint by its name
        """
        sounds = self.corpus.sounds
        digests = {
            "speech": _digest(self.corpus.speech),
            "noises": _digest(sounds.noises.waveforms),
            "heads": _digest(sounds.heads.hrirs),
        }
        settings = as_settings(
            database=self.corpus.config,
            front=self.front,
            mixtures={"number": len(some_recipes(self.corpus).clip)},
            sounds=digests,
            weights={"sha256": weights},
        )
        settle_settings(self.folder / "settings.json", settings, "*.npz")

    def of_range(self, snr_range: SnrRange, draw: int = 0) -> Statistics:
        """Statistics of one draw of mixtures in a range."""

        def measure() -> Statistics:
            recipes = at_snr(some_recipes(self.corpus, draw), self.corpus.config, snr_range)
            return statistics(self.checkpoints, self.corpus, recipes, self.front)

        return self._once(f"{_file_name(snr_range)}-draw{draw}", measure)

    def of_ranges(self, ranges: Sequence[SnrRange], draw: int = 0) -> dict[SnrRange, Statistics]:
        """The same of several ranges."""
        label = f"{self.corpus.config.noise} noise, SNR ranges, draw {draw}"
        measured = {}
        for snr_range in track(ranges, label, total=len(ranges)):
            measured[snr_range] = self.of_range(snr_range, draw)
        return measured

    def of_setting(
        self, setting: Setting, snr_range: SnrRange, folders: SoundFolders
    ) -> Statistics:
        """Statistics of the first draw in a range, with a setting changed."""

        def measure() -> Statistics:
            recipes = at_snr(some_recipes(self.corpus), self.corpus.config, snr_range)
            recipes = draw_from_first(recipes, setting)
            corpus = with_setting(self.corpus, setting, folders, self.front.fs)
            front = replace(self.front, **setting.front)
            return statistics(self.checkpoints, corpus, recipes, front)

        return self._once(f"{_file_name(snr_range)}-{setting.name}", measure)

    def _once(self, name: str, measure: Callable[[], Statistics]) -> Statistics:
        """What the folder has under a name, or what `measure` gives."""
        path = self.folder / f"{name}.npz"
        if path.exists():
            return Statistics(**read_npz(path))
        measured = measure()
        with atomic_write(path) as stream:
            np.savez(stream, **vars(measured))
        return measured


def _file_name(snr_range: SnrRange) -> str:
    return f"snr{snr_range.low:g}to{snr_range.high:g}"


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:16]
