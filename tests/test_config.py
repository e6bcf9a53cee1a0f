"""Settings: the published constants, the defaults of both corpora, and a folder for every combination."""

import dataclasses
import itertools
import json

from ssl_jax import config
from ssl_jax.config import MAIN_RUNS, FrontEnd, experiment, as_settings, seeded_runs
from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.training.batches import Mixtures
from support.runs import refuses


def test_different_options_never_share_a_folder():
    axes = dict(
        data=(False, True), protocol=(None, *config.PROTOCOLS), rule=(None, *config.DIRECTION_RULES)
    )
    axes |= dict(
        cell=(None, *HAIR_CELLS), hop=(None, 1, 44, 441), seed=(0, 1, 11), quick=(False, True)
    )
    by_name = {}
    for values in itertools.product(*axes.values()):
        ex = experiment(**dict(zip(axes, values)))
        settings = dataclasses.replace(ex, name="")
        assert by_name.setdefault(ex.name, settings) == settings
    # None and 441 stand for values that are listed too
    choices = len(config.PROTOCOLS) * len(config.DIRECTION_RULES) * len(HAIR_CELLS)
    assert len(by_name) == 2 * choices * 3 * 3 * 2
    assert "reported" not in by_name and not any(
        "/" in name or name.startswith(".") for name in by_name
    )
    name = experiment(quick=True, cell="roman", snr_range=(-5, 20.5), hop=44, seed=3).name
    assert name == "embedded-quick-haircell_roman-snr-5to20.5-hop44-seed3"
    assert experiment(name="mine", seed=3).name == "mine"
    refuses("--name reported: ", experiment, name="reported")


def test_defaults_of_both_corpora():
    usual = (
        ("embedded", "horizontal", "none"),
        ("librispeech-esc10-cipic", "nearest_azimuth", "none"),
    )
    for ex, (corpus, rule, cell) in zip((experiment(), experiment(data=True)), usual):
        assert ex.name == ex.database.corpus == corpus and set(MAIN_RUNS) < set(ex.runs)
        assert (ex.database.direction_rule, ex.front.hair_cell, ex.database.disjoint) == (
            rule,
            cell,
            (),
        )
        assert (
            ex.database.snr_low,
            ex.database.snr_high,
        ) == config.FOUND  # the embedded one takes it over


def test_an_snr_range_that_is_none_is_refused():
    for low, high in ((10, 0), (5, 5), (0, float("inf")), (float("nan"), 3), (-1000, 0)):
        refuses("^--snr-range .*: not a range: [^\n]*low first$", experiment, snr_range=(low, high))


def test_hop_and_seed_have_a_range():
    for option, values in {"hop": (0, -5, 44_101), "seed": (-1, 2**31)}.items():
        for value in values:
            refuses(f"^{option} {value}: out of range: use [^\n]*$", experiment, **{option: value})
    assert [experiment(hop=hop).front.hop for hop in (1, 44_100)] == [1, 44_100]
    ex = experiment(seed=2**31 - 1)
    assert {ex.database.seed, *(run.seed for run in ex.runs.values())} == {2**31 - 1}
    assert hash((ex.front, ex.database, *ex.runs.values()))  # frozen


FIELDS = "model clips epochs epochs_planned batch learning_rate weight_decay start_from start_epoch".split()
PUBLISHED = {
    "model1": ("three_branch", 100, 12, 20, 16, 1e-3, 0.01, "", 0, 0, ()),
    "model2": ("three_branch", 700, 20, 20, 32, 2e-3, 0.01, "", 0, 0, ()),
    "model2_continued": ("three_branch", 700, 20, 40, 32, 1e-3, 0.01, "model2", 16, 20, (17, 18)),
    "resnet": ("resnet", 100, 5, 20, 16, 1e-3, 0.02, "", 0, 0, ()),
}


def test_published_settings():
    ex = experiment(data=True, protocol="published-code")
    assert (ex.database.clips * 72, ex.database.snr_low, ex.database.snr_high) == (50_400, 15, 40)
    # fs, channels, lowest Hz, filters, hair cell, tau, longest ITD, largest ILD; hop 10 ms (published: 1)
    assert dataclasses.astuple(ex.front) == (
        44_100,
        32,
        80,
        "gammatone",
        "none",
        0.010,
        0.001,
        7,
        441,
        False,
    )
    for name, values in PUBLISHED.items():
        run = ex.runs[name]
        assert (
            tuple(getattr(run, field) for field in [*FIELDS, "cosine_epochs", "restart_epochs"])
            == values
        )
        assert (run.evaluation_share, run.cosine_floor) == (0.2, 1e-6)
    last = Mixtures([], ex.database, ex.front).last(ex.runs["model2_continued"])
    assert (last[0], last[-1]) == (560 * 72, 700 * 72 - 1)  # clips 561 to 700


def test_quick_is_small_and_consistent_and_has_no_other_runs():
    ex = experiment(quick=True)
    assert ex.database.clips == 100 and all(run.clips == 100 for run in ex.runs.values())
    start, continued = ex.runs["model2"], ex.runs["model2_continued"]
    assert continued.start_epoch == start.epochs == 3 and continued.epochs == 6
    assert min(continued.restart_epochs) == continued.start_epoch + 1
    refuses(
        "--runs model2_to40: is none of model1", seeded_runs, ex.runs, ["model1", "model2_to40"], 1
    )


def test_fingerprint_is_json_of_every_field():
    ex = experiment()
    found = as_settings(front=ex.front, name="x", **ex.runs)
    assert json.loads(json.dumps(found))["model2_continued"]["restart_epochs"] == [17, 18]
    assert found["name"] == "x" and set(found["front"]) == {
        f.name for f in dataclasses.fields(FrontEnd)
    }
