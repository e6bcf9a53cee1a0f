"""Settings: the published constants, protocols, and a folder for every combination of options."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from ssl_jax import config
from ssl_jax.config import FrontEnd, SoundFolders, as_settings
from ssl_jax.experiments import PROTOCOLS, Options, experiment
from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.runs import MAIN_RUNS, seeded_runs
from ssl_jax.training.batches import Mixtures
from support.runs import refuses

AXES = {
    "protocol": list(PROTOCOLS),
    "direction_rule": [None, *config.DIRECTION_RULES],
    "hair_cell": [None, *HAIR_CELLS],
    "hop": [1, 44, 441],
    "seed": [0, 1, 11],
    "quick": [False, True],
}


def test_different_experiments_never_share_a_folder():
    by_name = {}
    for values in itertools.product(*AXES.values()):
        options = Options(**dict(zip(AXES, values, strict=True)))
        if options.protocol == "rooms" and options.direction_rule not in (None, "horizontal"):
            continue  # refused
        ex = experiment(options)
        settings = dataclasses.replace(ex, name="")
        assert by_name.setdefault(ex.name, settings) == settings
    # None stands for a rule and a hair cell that are listed too
    places = (len(PROTOCOLS) - 1) * len(config.DIRECTION_RULES) + 1  # `rooms` has one rule
    assert len(by_name) == places * len(HAIR_CELLS) * 3 * 3 * 2


def test_a_folder_is_named_after_the_protocol_and_what_differs_from_it():
    options = Options(quick=True, hair_cell="roman", snr_range=(-5, 20.5), hop=44, seed=3)
    name = "published-quick-haircell_roman-snr-5to20.5-hop44-seed3"
    assert experiment(options).name == name
    own = Options(
        protocol="clean",
        folders=SoundFolders(speech=Path("my/voices"), heads=Path("ears")),
        noise_kinds=("rain", "wind"),
    )
    assert experiment(own).name == "clean-speech_voices-heads_ears-kinds_rain+wind"


def test_a_name_of_ones_own_replaces_it():
    assert experiment(Options(name="mine", seed=3)).name == "mine"
    refuses("--name reported: ", experiment, Options(name="reported"))
    for name in ("../x", "/tmp/x", "a\\b", "..", ".", ""):
        refuses("not a folder's name: use one without", experiment, Options(name=name))


def test_targets_are_refused_where_voices_are_the_only_ones():
    options = Options(folders=SoundFolders(targets=Path("events")))
    refuses("--targets: protocol published .*: use --protocol rooms", experiment, options)


def test_rooms_have_no_other_directions():
    options = Options(protocol="rooms", direction_rule="nearest")
    refuses("--directions: protocol rooms .*: leave it out", experiment, options)


def test_settings_name_the_folders_of_sounds():
    database = experiment(Options(folders=SoundFolders(noise=Path("a/hum")))).database
    assert (database.speech, database.noise, database.heads) == ("bundled", "hum", "bundled")


def test_the_default_is_the_published_protocol():
    ex = experiment()
    assert ex.name == "published" and ex.usual_runs == MAIN_RUNS
    database = ex.database
    assert (database.direction_rule, ex.front.hair_cell) == ("nearest_azimuth", "none")
    assert (database.snr_low, database.snr_high, database.disjoint) == (2.5, 20, ())


def test_protocols_differ_in_what_they_say():
    database = experiment(Options(protocol="published-code")).database
    assert (database.snr_low, database.snr_high) == (15, 40)
    database = experiment(Options(protocol="clean")).database
    assert set(database.disjoint) == {"speaker", "noise", "head"}
    rooms = experiment(Options(protocol="rooms"))
    assert rooms.database.rooms == 2520 and rooms.front.levels and rooms.front.max_ild == 20
    assert tuple(rooms.runs) == rooms.usual_runs == ("general",)


@pytest.mark.parametrize(
    "snr_range", [(10, 0), (5, 5), (0, float("inf")), (float("nan"), 3), (-1000, 0)]
)
def test_an_snr_range_that_is_none_is_refused(snr_range):
    says = "^--snr-range .*: not a range: [^\n]*low first$"
    refuses(says, experiment, Options(snr_range=snr_range))


@pytest.mark.parametrize(
    "option, value", [("hop", 0), ("hop", -5), ("hop", 44_101), ("seed", -1), ("seed", 2**31)]
)
def test_hop_and_seed_have_a_range(option, value):
    refuses(f"^{option} {value}: out of range: use ", experiment, Options(**{option: value}))


def test_hop_and_seed_reach_every_setting():
    assert [experiment(Options(hop=hop)).front.hop for hop in (1, 44_100)] == [1, 44_100]
    ex = experiment(Options(seed=2**31 - 1))
    assert {ex.database.seed, *(run.seed for run in ex.runs.values())} == {2**31 - 1}


PUBLISHED_RUNS = {
    "model1": {
        "model": "three_branch",
        "clips": 100,
        "epochs": 12,
        "epochs_planned": 20,
        "batch": 16,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
    },
    "model2": {
        "model": "three_branch",
        "clips": 700,
        "epochs": 20,
        "epochs_planned": 20,
        "batch": 32,
        "learning_rate": 2e-3,
        "weight_decay": 0.01,
    },
    "model2_continued": {
        "model": "three_branch",
        "clips": 700,
        "epochs": 20,
        "epochs_planned": 40,
        "batch": 32,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "start_from": "model2",
        "start_epoch": 16,
        "cosine_epochs": 20,
        "cosine_floor": 1e-6,
        "restart_epochs": (17, 18),
    },
    "resnet": {"model": "resnet", "batch": 16, "learning_rate": 1e-3, "weight_decay": 0.02},
}


@pytest.mark.parametrize("name", PUBLISHED_RUNS)
def test_published_runs(name):
    run = vars(experiment().runs[name])
    expected = PUBLISHED_RUNS[name]
    assert {field: run[field] for field in expected} == expected
    assert run["evaluation_share"] == 0.2


def test_published_front_end():
    front = experiment(Options(protocol="published-code")).front
    assert (front.fs, front.channels, front.low_freq) == (44_100, 32, 80)
    assert (front.filter_type, front.hair_cell) == ("gammatone", "none")
    assert (front.tau, front.max_itd, front.max_ild, front.hop) == (0.010, 0.001, 7, 441)


def test_the_database_is_every_clip_from_every_azimuth():
    assert experiment().database.clips * config.AZIMUTHS == 50_400


def test_the_last_clips_are_561_to_700():
    ex = experiment()
    last = Mixtures([], ex.database, ex.front).last(ex.runs["model2_continued"])
    assert (last[0], last[-1]) == (560 * 72, 700 * 72 - 1)


def test_quick_has_few_rooms():
    quick = experiment(Options(protocol="rooms", quick=True)).database
    assert 0 < quick.rooms < experiment(Options(protocol="rooms")).database.rooms / 10
    assert experiment(Options(quick=True)).database.rooms == 0


def test_quick_is_small_and_its_runs_start_where_others_end():
    ex = experiment(Options(quick=True))
    assert ex.database.clips == 100 and all(run.clips == 100 for run in ex.runs.values())
    start, continued = ex.runs["model2"], ex.runs["model2_continued"]
    assert continued.start_epoch == start.epochs == 3 and continued.epochs == 6
    assert continued.restart_epochs == (4, 5)


def test_a_run_that_is_not_there_is_refused():
    runs = experiment(Options(quick=True)).runs
    refuses("--runs model2_to40: is none of model1", seeded_runs, runs, ["model2_to40"], 1)


def test_seeds_of_a_run_start_from_their_twins():
    runs = seeded_runs(experiment().runs, ["model2", "model2_continued"], 3)
    assert list(runs)[:3] == ["model2", "model2_seed1", "model2_seed2"]
    assert runs["model2_continued_seed2"].start_from == "model2_seed2"
    assert [run.seed for run in runs.values()] == [0, 1, 2, 0, 1, 2]


def test_settings_are_json_of_every_field():
    ex = experiment()
    settings = json.loads(json.dumps(as_settings(front=ex.front, name="x", **ex.runs)))
    assert settings["model2_continued"]["restart_epochs"] == [17, 18]
    fields = {field.name for field in dataclasses.fields(FrontEnd)}
    assert settings["name"] == "x" and set(settings["front"]) == fields
