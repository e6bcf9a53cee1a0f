"""Settings: the published constants, the defaults of both corpora, and a folder for every combination."""

import dataclasses
import itertools
import json

import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.config import (
    AZIMUTH_STEP,
    AZIMUTHS,
    DIRECTION_RULES,
    HAIR_CELLS,
    MAIN_RUNS,
    RUNS,
    Database,
    FrontEnd,
    Training,
    experiment,
    fingerprint,
)


def test_different_options_never_share_a_folder():
    axes = dict(
        data=(False, True),
        direction_rule=(None, *DIRECTION_RULES),
        hair_cell=(None, *HAIR_CELLS),
        hop=(None, 1, 44, 441),
        seed=(0, 1, 11),
        quick=(False, True),
    )
    by_name = {}
    for values in itertools.product(*axes.values()):
        ex = experiment(**dict(zip(axes, values)))
        settings = dataclasses.replace(ex, name="")
        assert by_name.setdefault(ex.name, settings) == settings
    # None and 441 stand for values that are listed too
    assert len(by_name) == 2 * len(DIRECTION_RULES) * len(HAIR_CELLS) * 3 * 3 * 2
    assert "reported" not in by_name and not any("/" in name or name.startswith(".") for name in by_name)


def test_default_names_and_a_name_of_ones_own():
    assert experiment().name == "embedded"
    assert experiment(data=True).name == "librispeech-esc10-cipic"
    name = experiment(quick=True, hair_cell="none", hop=44, seed=3).name
    assert name == "embedded-quick-haircell_none-hop44-seed3"
    assert experiment(name="mine", seed=3).name == "mine"


@pytest.mark.parametrize(
    "data, corpus, rule, cell",
    [
        (False, "embedded", "horizontal", "roman"),
        (True, "librispeech-esc10-cipic", "nearest_azimuth", "none"),
    ],
)
def test_defaults_of_both_corpora(data, corpus, rule, cell):
    ex = experiment(data=data)
    assert (ex.database.corpus, ex.database.direction_rule, ex.front.hair_cell) == (corpus, rule, cell)
    assert ex.database.disjoint == () and set(MAIN_RUNS) < set(ex.runs)


@pytest.mark.parametrize(
    "options", [dict(hop=0), dict(hop=-5), dict(hop=44_101), dict(seed=-1), dict(seed=2**31)]
)
def test_what_is_out_of_range_is_refused(options):
    ((option, value),) = options.items()
    with pytest.raises(InputError, match=f"^{option} {value}: out of range: use ") as error:
        experiment(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("hop", [1, 44_100])
def test_the_ends_of_the_range_are_kept(hop):
    assert experiment(hop=hop).front.hop == hop


def test_published_directions_and_database():
    assert AZIMUTHS == 72 and AZIMUTH_STEP == 5 and AZIMUTHS * AZIMUTH_STEP == 360
    database = experiment(data=True).database
    assert database.clips * AZIMUTHS == 50_400
    assert (database.snr_low, database.snr_high) == (15, 40)


def test_published_front_end():
    front = experiment(data=True).front
    assert (front.fs, front.channels, front.low_freq, front.filter_type) == (44_100, 32, 80, "gammatone")
    assert (front.tau, front.max_itd, front.max_ild) == (0.010, 0.001, 7)
    assert front.hop == 441  # 10 ms; published is every sample


@pytest.mark.parametrize(
    "name, values",
    {
        "model1": dict(
            model="three_branch",
            clips=100,
            epochs=12,
            epochs_planned=20,
            batch=16,
            learning_rate=1e-3,
            start_from="",
            cosine_epochs=0,
            restart_epochs=(),
        ),
        "model2": dict(
            model="three_branch",
            clips=700,
            epochs=20,
            epochs_planned=20,
            batch=32,
            learning_rate=2e-3,
            start_from="",
            cosine_epochs=0,
            restart_epochs=(),
        ),
        "model2_continued": dict(
            model="three_branch",
            clips=700,
            epochs=20,
            epochs_planned=40,
            batch=32,
            learning_rate=1e-3,
            start_from="model2",
            start_epoch=16,
            cosine_epochs=20,
            cosine_floor=1e-6,
            restart_epochs=(17, 18),
        ),
    }.items(),
)
def test_published_training(name, values):
    run = experiment(data=True).runs[name]
    assert {key: getattr(run, key) for key in values} == values
    assert run.weight_decay == 0.01 and run.evaluation_share == 0.2


def test_the_residual_network_of_the_notebook():
    run = RUNS["resnet"]
    assert (run.model, run.batch, run.learning_rate, run.weight_decay) == ("resnet", 16, 1e-3, 0.02)


def test_the_seed_reaches_database_and_runs():
    ex = experiment(seed=7)
    assert {ex.database.seed, *(run.seed for run in ex.runs.values())} == {7}


def test_quick_is_small_and_consistent():
    ex = experiment(quick=True)
    assert ex.database.clips == 100 and all(run.clips == 100 for run in ex.runs.values())
    start, continued = ex.runs["model2"], ex.runs["model2_continued"]
    assert continued.start_epoch == start.epochs == 3 and continued.epochs == 6
    assert min(continued.restart_epochs) == continued.start_epoch + 1


@pytest.mark.parametrize("settings", [FrontEnd(), Database(), Training(), experiment()])
def test_settings_are_frozen(settings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, dataclasses.fields(settings)[0].name, None)


def test_fingerprint_is_json_of_every_field():
    ex = experiment()
    found = fingerprint(front=ex.front, name="x", **ex.runs)
    assert json.loads(json.dumps(found))["model2_continued"]["restart_epochs"] == [17, 18]
    assert found["name"] == "x" and set(found["front"]) == {f.name for f in dataclasses.fields(FrontEnd)}
