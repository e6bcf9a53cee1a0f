"""Kills, full disks, read-only folders, lost files: one line, exit 2; then the same bytes."""

import numpy as np
import pytest

from support.runs import FULL, NAME, STAGES, moments, refused, restore, same

EVERYTHING = ("database", "train")
HOP = "--hop=882"
WORK = f"work/{NAME}"
SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 8)]
# a stage's writes: 2 of its settings, then 4 of every shard or epoch that is still to be made
LAST = {"cues": 14, "model1": 9, "model2": 9, "model2_continued": 9, "results": 8}


def break_then_run(start, folder, faults, inside=()):
    """Call stages under each of (fault, stages, what they say), then all without a fault.

    Stages that are to say nothing succeed.
    """
    runs = [(fault, stages) for fault, stages, _ in faults]
    *broken, whole = start(folder, [*runs, (None, EVERYTHING)], HOP, inside=inside)
    for ended, (*_, says) in zip(broken, faults, strict=True):
        assert not ended.status or says, ended
        if says:
            refused(ended, f"ssl_jax: {folder}/{says}")
    assert whole.status == 0, whole


@pytest.mark.parametrize("seed", [1, *SLOW])
def test_killed_in_every_stage_and_run_again_gives_the_same_bytes(tmp_path, start, unbroken, seed):
    rng = np.random.default_rng(seed)
    whens = ("within", "before", rng.uniform(0, 0.03))  # seconds
    kills = []
    for k, at in enumerate(moments(rng, STAGES, LAST | {"cues": 8, "results": 6})):
        kill = {"do": "kill", "at": at, "when": whens[(k + seed - 1) % 3]}
        kills.append((kill, EVERYTHING))
    start(tmp_path, [*kills, (None, EVERYTHING)], HOP)
    same(tmp_path, unbroken)


@pytest.mark.parametrize("seed", [3, *SLOW])
def test_a_disk_that_fills_while_cues_checkpoints_and_results_are_written(
    small_disk, start, unbroken, seed
):
    """At the start, and at one of the writes of each stage; slow variants start from nothing."""
    disk = small_disk(16)
    rng = np.random.default_rng(seed)
    last = LAST | {"model1": 7, "model2": 7, "model2_continued": 5}
    first = f"results/{NAME}/settings.json"
    if seed == 3:
        restore(
            disk.outside,
            unbroken,
            "cues-00003",
            "cues-00005",
            "model2/epoch-002",
            "model2_continued/",
        )
        last = {"cues": 4, "model2": 1, "results": 8}
        first = f"{WORK}/cues/cues-00003.npy"
    about = {"do": "fill", "disk": str(disk.folder)}
    faults = [(about | {"at": None}, EVERYTHING, f"{first}{FULL}")]
    for stage, nth in moments(rng, last, last):
        if stage == "results" and nth % 2 == 0:
            nth += 1  # an opening: a renaming frees what it replaces
        fault = about | {"at": (stage, nth), "left": int(rng.integers(20))}
        faults.append(
            (fault, EVERYTHING, f"results/{NAME}/" if stage == "results" else f"{WORK}/{stage}/")
        )
    break_then_run(start, disk.folder, faults, disk.inside)
    same(disk.outside, unbroken)


READONLY = [  # folder, moment, stage, the file in that folder that is named
    ("results", None, "database", ""),
    ("work", None, "database", "/lock"),
    ("figures", None, "figures", ""),
    # the first renaming is not let through
    ("work", ["cues", 2], "database", "/cues/cues-00001.npy"),
    ("results", ["cues", 3], "database", "/timing.json"),
    ("results", None, "train", ""),
    ("work", ["model2_continued", 1], "train", "/model2_continued/epoch-003.safetensors"),
    ("results", ["model2_continued", 2], "train", "/model2_continued_epoch3.safetensors"),
]


def test_folders_that_are_or_become_readonly(small_disk, start, unbroken):
    """At the start every stage refuses before its work; midway it ends with its next write."""
    disk = small_disk(16)
    faults = []
    restore(disk.outside, unbroken, "cues-00001", "cues-00004", "epoch-003")
    (disk.outside / "figures").mkdir()
    for what, at, stage, named in READONLY:
        fault = {"do": "readonly", "at": at, "what": str(disk.folder / what)}
        faults.append(
            (fault, [stage], f"{what}/{NAME}{named}: the file system is read-only: choose another")
        )
    break_then_run(start, disk.folder, faults, disk.inside)
    same(disk.outside, unbroken)


LOST = "missing or damaged: "
UNKNOWN = (
    "is missing, so nobody knows how the files beside it were made: "
    "use another --name or --work, or delete that"
)
VANISHING = [  # what is gone, when, the stages then called, and what they say
    ("cut cues/cues-00002.npy", None, ["train"], f"cues/cues-00002.npy: {LOST}run"),
    ("manifest.csv", None, ["train"], "manifest.csv: is missing: run the database stage again"),
    ("cues/store.json", None, ["database"], f"cues/store.json: {UNKNOWN}"),
    ("cues", None, [], ""),
    ("", ["cues", 8], ["database"], "cues/cues-00001"),
    ("../../results", ["model2_continued", 3], EVERYTHING, ""),
]
NO_START = f"model2/epoch-001.safetensors: {LOST}delete that folder and train 'model2' again"
FIRST = [("model2/epoch-001.safetensors", None, ["train"], NO_START), ("model2", None, [], "")]
# at the first checkpoint of Model 1: its second epoch reads the shard again
CUT = [("cut cues/cues-00004.npy", ["model1", 3], ["train"], "cues/cues-00004.npy: ")]


@pytest.mark.parametrize(
    "there, steps", [("model2_continued/", FIRST + VANISHING), ("model1/", CUT)]
)
def test_files_that_vanish_or_are_cut_at_any_time(tmp_path, start, unbroken, there, steps):
    restore(tmp_path, unbroken, there)
    faults = []
    for what, at, stages, says in steps:
        do, _, name = what.rpartition(" ")
        fault = {"do": do or "vanish", "at": at, "what": str((tmp_path / WORK / name).resolve())}
        faults.append((fault, stages, says and f"{WORK}/{says}"))
    break_then_run(start, tmp_path, faults)
    same(tmp_path, unbroken)
