"""The fingerprint: means put into a network are read out of it, and databases are told apart."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ssl_jax import experiments
from ssl_jax.config import Database, FrontEnd
from ssl_jax.database.recipes import Recipes
from ssl_jax.networks.registry import build_model
from ssl_jax.report.style import plt
from ssl_jax.sounds.noises import Noises
from ssl_jax.studies import (
    fingerprint_corpora,
    fingerprint_figure,
    fingerprint_report,
    fingerprint_search,
)
from ssl_jax.studies.fingerprint import distance, layers_of, moments, training_set_means
from ssl_jax.studies.fingerprint_corpora import CODE, SnrRange, at_snr, noise_groups
from ssl_jax.studies.fingerprint_figure import Curve, FigureContent, draw_figure
from ssl_jax.studies.fingerprint_report import (
    FingerprintOptions,
    nearest_section,
    run_fingerprint,
)
from ssl_jax.studies.fingerprint_search import COARSE, Nearest, around, read_means, search
from ssl_jax.studies.published_weights import published_variables
from support.artists import points_of
from support.runs import ROOT, refuses

MEANS = ROOT / "ssl_jax/data/reported/training_set_means.csv"
FS = 44_100
FLOAT32 = 1e-4  # of means and moments near 1, of float32 weights
SQUARES = 1e-3  # the same of squares, of numbers up to some 5


@pytest.fixture
def cues():
    """Maps (8, 3, 32, 40) that differ from mixture to mixture and from frame to frame."""
    return np.random.default_rng(0).normal(0.5, 1, (8, 3, 32, 40)).astype(np.float32)


def taught(cues):
    """A network whose running statistics are those of `cues`."""
    model = build_model("three_branch", 0, FrontEnd())
    for layer, norm in enumerate(("norm1", "norm2")):
        averaged = np.asarray(moments(layers_of(model), cues)).mean(0)[:, layer]
        for k, branch in enumerate(model.branches):
            mean, square = averaged[k]
            getattr(branch, norm).mean[...] = jnp.asarray(mean)
            getattr(branch, norm).var[...] = jnp.asarray(square - mean**2)
    return model


def test_the_means_of_the_training_set_are_read_out(cues):
    read_out = training_set_means(layers_of(taught(cues)))
    assert read_out.cues == pytest.approx(cues.mean((0, 3)), abs=FLOAT32)
    assert (read_out.residuals < FLOAT32).all()


def test_the_residual_tells_of_statistics_of_no_data(cues):
    model = taught(cues)
    model.branches[2].norm1.mean[...] += 0.3 * jnp.sin(jnp.arange(64.0))
    assert training_set_means(layers_of(model)).residuals[2] > 0.1


def test_moments_are_those_of_the_networks_own_convolutions_where_neighbours_hold_the_same(cues):
    model = taught(cues)
    still = np.repeat(cues[..., :1], 9, axis=-1)
    measured = np.asarray(moments(layers_of(model), still))  # 8, 3, 2, 2, 64
    for k, branch in enumerate(model.branches):
        branch.norm1.use_running_average = True
        first = branch.conv1(still[:, k].swapaxes(1, 2))  # 8, 9, 64
        inner = jnp.maximum(branch.norm1(first), 0)[:, 2:-2]  # away from the zeros at the ends
        second = branch.conv2(inner)
        assert measured[:, k, 0, 0] == pytest.approx(np.asarray(first[:, 4]), abs=FLOAT32)
        assert measured[:, k, 1, 0] == pytest.approx(np.asarray(second[:, 2]), abs=FLOAT32)
        assert measured[:, k, 0, 1] == pytest.approx(np.asarray(first[:, 4]) ** 2, abs=SQUARES)


def test_a_database_lies_nearest_to_the_network_it_taught(cues):
    layers = layers_of(taught(cues))
    own, shifted, wider = (
        distance(layers, np.asarray(moments(layers, maps)).mean(0))
        for maps in (cues, cues + 0.2, 2 * cues)
    )
    assert own < 1e-3 < shifted
    assert wider > 0.3


@pytest.mark.parametrize("least", [SnrRange(2.5, 20), SnrRange(-2.5, 17.5), CODE])
def test_the_search_finds_a_range_between_the_coarse_ones(least):
    asked = []

    def scores_of(ranges):
        asked.extend(ranges)
        return [abs(one.low - least.low) + abs(one.high - least.high) for one in ranges]

    scores = search(scores_of)
    assert next(iter(scores)) == least
    assert set(COARSE) | set(around(least)) <= set(scores)
    assert len(asked) == len(set(asked))  # none is measured twice


def test_mixtures_of_two_ranges_differ_in_their_snr_alone():
    database = Database(snr_low=15, snr_high=40)
    zero = np.zeros(2, int)
    snr = np.array([[15.0, 27.5], [40.0, 20.0]])
    drawn = Recipes(zero, zero, zero, zero, zero, zero, snr)
    recipes = at_snr(drawn, database, SnrRange(0, 10))
    assert recipes.snr.tolist() == [[0, 5], [10, 2]]
    assert recipes.clip.tolist() == [0, 0]


def hiss_and_clicks(seconds):
    """A steady sound and one of events, (2, seconds * FS)."""
    hiss = np.random.default_rng(0).normal(0, 0.1, seconds * FS)
    clicks = hiss * (np.arange(len(hiss)) % (FS // 2) < FS // 20)
    return np.stack([hiss, clicks]).astype(np.float32)


def test_noises_are_grouped_by_steadiness():
    waveforms = hiss_and_clicks(2).reshape(2, 2, FS)
    noises = Noises(("hiss", "clicks"), (("a", "b"), ("c", "d")), waveforms)
    groups = noise_groups(noises, FS)
    assert [group.kinds for group in groups] == [(0, 1), (0,), (1,)]
    assert groups[2].text.startswith("clicks (")
    steady = Noises(("hiss", "hiss"), noises.names, waveforms[[0, 0]])
    assert len(noise_groups(steady, FS)) == 1


def test_ranges_within_their_spread_are_no_finding():
    near, alike, apart = SnrRange(2.5, 20), SnrRange(5, 20), SnrRange(0, 25)
    draws = {near: [0.04, 0.041, 0.042], alike: [0.041, 0.041, 0.042], apart: [0.05, 0.051, 0.052]}
    text = nearest_section(Nearest(draws, {}))
    assert "No finding between\n2.5 to 20 dB and: 5 to 20 dB." in text
    assert "| 0 to 25 dB | 0.0500 | 0.0510 | 0.0520 | 0.0510 ± 0.0010 | +0.0100 ± 0.0000 |" in text


def test_the_middle_of_tied_ranges_is_taken():
    least, narrow, wide = SnrRange(0, 22.5), SnrRange(5, 20), SnrRange(2.5, 17.5)
    alike = [0.04, 0.042, 0.041]
    far = [0.06, 0.061, 0.062]
    nearest = Nearest({least: alike, narrow: alike, wide: alike, SnrRange(-5, 40): far}, {})
    assert nearest.tied == [least, narrow, wide]
    assert nearest.snr_range == SnrRange(2.5, 20)


def test_the_figure_leaves_ranges_that_were_not_measured_blank(monkeypatch):
    figures = []
    monkeypatch.setattr(fingerprint_figure, "save_figure", lambda figure, _: figures.append(figure))
    curve = Curve("a", np.linspace(0.6, 0.9, 32))
    scores = {SnrRange(0, 20): 0.04, SnrRange(2.5, 22.5): 0.03, CODE: 0.2}
    draw_figure(Path("unused.png"), FigureContent(curve, curve, curve, "distance", scores))
    coherence, ranges = figures[0].axes
    assert [value for _, value in points_of(coherence, "a")] == curve.mean_ic.tolist()
    cells = np.ma.filled(np.ma.masked_invalid(ranges.images[0].get_array()), 0)
    np.testing.assert_array_equal(cells, np.diag([0.04, 0.03, 0.2]))
    assert [text.get_text() for text in ranges.texts] == [".040", ".030", ".200"]
    plt.close(figures[0])


@pytest.fixture(scope="module")
def small_stage():
    """The stage is made small: 72 mixtures of 5 clips, two ranges, one setting."""
    code = replace(experiments.PROTOCOLS["published-code"], clips=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(experiments.PROTOCOLS, "published-code", code)
        patch.setattr(fingerprint_corpora, "CLIPS", 1)
        patch.setattr(fingerprint_search, "COARSE", (SnrRange(0, 10), CODE))
        patch.setattr(fingerprint_search, "around", lambda centre: [centre])
        patch.setattr(fingerprint_report, "SETTINGS", fingerprint_corpora.SETTINGS[-2:-1])
        yield


def options_in(folder):
    """Options that write into a folder alone."""
    return FingerprintOptions(**{name: folder / name for name in ("results", "work", "figures")})


@pytest.fixture(scope="module")
def measured(small_stage, tmp_path_factory):
    """The options of a small stage that has run."""
    options = options_in(tmp_path_factory.mktemp("fingerprint"))
    run_fingerprint(options)
    return options


def files_and_times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}


def test_the_stage_tells_the_noisier_range_from_the_other(measured):
    text = (measured.results / "fingerprint.md").read_text()
    assert "| 1 | 0 to 10 dB |" in text and "| 2 | 15 to 40 dB |" in text
    assert "| heads: the first one |" in text
    assert (measured.figures / "fingerprint.png").exists()


def test_the_stage_goes_on_where_it_stopped(measured, capsys):
    text = (measured.results / "fingerprint.md").read_text()
    stored = files_and_times(measured.work)
    assert len(stored) == 5  # two ranges, the nearer in two more draws, a setting
    next(measured.work.rglob("snr15to40-draw0.npz")).unlink()
    run_fingerprint(measured)
    again = files_and_times(measured.work)
    assert [name for name in stored if again[name] != stored[name]] == ["snr15to40-draw0.npz"]
    assert (measured.results / "fingerprint.md").read_text() == text
    assert text in capsys.readouterr().out


def test_the_stage_holds_other_noises_against_checkpoints(small_stage, tmp_path):
    model = build_model("three_branch", 0, FrontEnd())
    arrays = {name: np.asarray(variable[...]).T for name, variable in published_variables(model)}
    weights = tmp_path / "weights"
    noises = tmp_path / "own"
    options = replace(options_in(tmp_path), weights=weights, compare_noise=noises)
    for folder in (weights, noises):
        folder.mkdir()
    np.savez(weights / "weights_first.npz", **arrays)
    for name, sound in zip(("hiss", "clicks"), hiss_and_clicks(3), strict=True):
        soundfile.write(noises / f"{name}.wav", sound, FS)
    run_fingerprint(options)
    text = (options.results / "fingerprint.md").read_text()
    rows = [line.split(" | ")[0] for line in text.splitlines()]
    for row in ("first", "bundled, all kinds", "own, steady kinds", "own, events"):
        assert f"| {row}" in rows
    arrays["fc.bias"] = arrays["fc.bias"] + 1
    np.savez(weights / "weights_first.npz", **arrays)
    refuses("settings.json: was made with weights.sha256", run_fingerprint, options)


def test_means_of_another_number_of_channels_are_refused(tmp_path):
    lines = MEANS.read_text().splitlines(keepends=True)
    (tmp_path / "means.csv").write_text("".join(lines[:20]))
    refuses("means.csv: has 19 channels, not 32", read_means, tmp_path / "means.csv")
