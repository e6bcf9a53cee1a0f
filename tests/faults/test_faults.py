"""Full disks, read-only folders, vanishing files: one clear line, exit 2, and a later run goes on to equal bytes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from support.runs import NAME, ROOT, STAGES, moments, outputs, refused, same

EVERYTHING, HOP = ("database", "train"), "--hop=882"
WORK = f"work/{NAME}"
FULL = ": the disk is full: free some space and run the same command again"


def restore(folder, files, *lost):
    """Put the files of a whole experiment into a folder, but for those with one of `lost` in their names."""
    for name, content in files.items():
        if not any(part in name for part in lost):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def fill_up(disk, start, rng, last, first=None):
    """Fill the disk in every stage of `last`, at one of its writes up to that number, and run on to the end."""
    moments_ = [
        (stage, nth | 1 if stage == "results" else nth)  # an opening: a renaming frees what it replaces
        for stage, nth in moments(rng, last, last)
    ]
    where = [
        f"{WORK}/lock",
        *(f"results/{NAME}/" if stage == "results" else f"{WORK}/{stage}/" for stage in last),
    ]
    runs = [
        (
            {
                "do": "fill",
                "at": at,
                "disk": str(disk.folder),
                "left": 0 if at is None else int(rng.integers(20)),
            },
            EVERYTHING,
        )
        for at in (None, *moments_)
    ]
    *broken, whole = start(disk.folder, [*runs, (None, EVERYTHING)], HOP, inside=disk.inside)
    for ended, file in zip(broken, where, strict=True):
        refused(ended, f"ssl_jax: {disk.folder}/{file}", FULL)
    assert whole.status == 0


def test_a_disk_that_fills_while_cues_checkpoints_and_results_are_written(small_disk, start, unbroken):
    disk = small_disk(16)
    restore(disk.outside, unbroken, "cues-00003", "cues-00005", "model2/epoch-002", "model2_continued/")
    fill_up(disk, start, np.random.default_rng(3), {"cues": 4, "model2": 1, "results": 8})
    same(disk.outside, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("round", range(4))
def test_a_disk_that_fills_twenty_times_in_any_stage(small_disk, start, unbroken, round):
    disk = small_disk(16)
    last = {"cues": 14, "model1": 7, "model2": 7, "model2_continued": 5, "results": 8}
    fill_up(disk, start, np.random.default_rng((3, round)), last)
    same(disk.outside, unbroken)


@pytest.mark.slow
def test_the_real_pipeline_on_a_disk_that_fills_and_becomes_readonly_in_every_stage(
    small_disk, start, tmp_path
):
    disk, rng, whole = small_disk(600), np.random.default_rng(5), tmp_path / "whole"
    for folder in (whole, disk.outside):
        shutil.copytree(ROOT / "results/reported", folder / "results/reported")
    start(whole, [(None, ["all"])], "--quick", tiny=False)
    last = {
        "cues": 6,
        "model1": 6,
        "model2": 6,
        "model2_continued": 6,
        "results": 8,
        "figures": 8,
        "report": 3,
    }
    runs = [
        ({"do": "fill", "at": at, "disk": str(disk.folder), "left": 0}, ["all"])
        for at in moments(rng, last, {stage: (nth + 1) // 2 for stage, nth in last.items()})
    ]
    for what in ("work", "results", "figures"):
        runs.append(({"do": "readonly", "at": None, "what": str(disk.folder / what)}, ["all"]))
    *broken, ended = start(disk.folder, [*runs, (None, ["all"])], "--quick", tiny=False, inside=disk.inside)
    for one in broken[:-3]:
        refused(one, f"ssl_jax: {disk.folder}/", FULL)
    for one in broken[-3:]:
        refused(one, f"ssl_jax: {disk.folder}/", ": the file system is read-only")
    assert ended.status == 0
    same(disk.outside, outputs(whole))


def test_folders_that_are_or_become_readonly(small_disk, start, unbroken):
    """At the start every stage refuses before its work; midway it ends with its next write."""
    disk = small_disk(16)
    restore(disk.outside, unbroken, "cues-00001", "cues-00004", "epoch-003")
    (disk.outside / "figures").mkdir()
    faults = (
        ("results", None, ["database"], ""),
        ("work", None, ["database"], "/lock"),
        ("figures", None, ["figures"], ""),
        (
            "work",
            ["cues", 2],
            ["database"],
            "/cues/cues-00001.npy",
        ),  # the first renaming is no longer let through
        ("results", ["cues", 3], ["database"], "/timing.json"),
        ("results", None, ["train"], ""),
        ("work", ["model2_continued", 1], ["train"], "/model2_continued/epoch-003.msgpack"),
        ("results", ["model2_continued", 2], ["train"], "/model2_continued_epoch3.msgpack"),
    )
    runs = [
        ({"do": "readonly", "at": at, "what": str(disk.folder / what)}, stages)
        for what, at, stages, _ in faults
    ]
    *broken, whole = start(disk.folder, [*runs, (None, EVERYTHING)], HOP, inside=disk.inside)
    for ended, (what, _, _, named) in zip(broken, faults, strict=True):
        refused(
            ended,
            f"ssl_jax: {disk.folder}/{what}/{NAME}{named}: the file system is read-only: choose another",
        )
    assert whole.status == 0
    same(disk.outside, unbroken)


def follow(tmp_path, start, steps):
    """What is gone, when, the stages then called, and what they say, or "" where they succeed."""
    runs = []
    for what, at, stages, _ in steps:
        do, _, name = what.rpartition(" ")
        runs.append(({"do": do or "vanish", "at": at, "what": str(tmp_path / name)}, stages))
    *broken, whole = start(tmp_path, [*runs, (None, EVERYTHING)], HOP)
    for ended, (*_, says) in zip(broken, steps, strict=True):
        refused(ended, f"ssl_jax: {tmp_path}/{says}") if says else (
            ended.status == 0 or pytest.fail(str(ended))
        )
    assert whole.status == 0, whole


UNKNOWN = (
    "is missing, so nobody knows how the files beside it were made: use another --name, or delete that folder"
)


def test_files_that_vanish_between_and_during_stages(tmp_path, start, unbroken):
    restore(tmp_path, unbroken, "model2_continued/")
    follow(
        tmp_path,
        start,
        [
            (
                f"{WORK}/model2/epoch-001.msgpack",
                None,
                ["train"],
                f"{WORK}/model2/epoch-001.msgpack: missing or damaged: delete that folder and train 'model2' again",
            ),
            (f"{WORK}/model2", None, [], ""),
            (
                f"{WORK}/manifest.csv",
                None,
                ["train"],
                f"{WORK}/manifest.csv: is missing: run the database stage again",
            ),
            (
                f"cut {WORK}/cues/cues-00002.npy",
                None,
                ["train"],
                f"{WORK}/cues/cues-00002.npy: missing or damaged: run",
            ),
            (f"{WORK}/cues/store.json", None, ["database"], f"{WORK}/cues/store.json: {UNKNOWN}"),
            (f"{WORK}/cues", None, [], ""),
            ("work", ["cues", 8], ["database"], f"{WORK}/cues/cues-00001"),
            ("results", ["model2_continued", 3], EVERYTHING, ""),
        ],
    )
    same(tmp_path, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_file_or_folder_that_vanishes_in_every_stage(tmp_path, start, unbroken, seed):
    """Whatever the run then says, it is one line, and what it asks for brings the same bytes."""
    rng = np.random.default_rng((6, seed))
    last = {"cues": 14, "model1": 9, "model2": 9, "model2_continued": 8, "results": 8}
    files = sorted(name for name in unbroken if not name.endswith("store.json"))
    for stage, nth in moments(rng, STAGES, last):
        for folder in ("work", "results"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
        restore(tmp_path, unbroken, *[f"/{later}/" for later in STAGES[STAGES.index(stage) :]])
        there = [name for name in files if (tmp_path / name).exists()] or ["results"]
        what = ["work", "results", there[rng.integers(len(there))]][rng.integers(3)]
        fault = {"do": "vanish", "at": [stage, nth], "what": str(tmp_path / what)}
        (ended,) = start(tmp_path, [(fault, EVERYTHING)], HOP)
        for _ in range(4):  # one thing put right may show the next
            if ended.status:
                refused(ended, f"ssl_jax: {tmp_path}/")
                if "delete that folder" in ended.lines[-1]:
                    shutil.rmtree(Path(ended.lines[-1].split(": ")[1]).parent)
            (ended,) = start(tmp_path, [(None, EVERYTHING)], HOP)
            if ended.status == 0:
                break
        missing = {what} & set(unbroken) - set(outputs(tmp_path))
        assert (
            not missing or "/epoch-001." in what or "/epoch-002." in what
        )  # nothing needs a run's older checkpoint
        same(tmp_path, {name: content for name, content in unbroken.items() if name not in missing})


def test_a_shard_that_is_cut_while_a_network_trains(tmp_path, start, unbroken):
    """At the first checkpoint of Model 1: its second epoch reads the shard again."""
    restore(tmp_path, unbroken, "model1/")
    follow(
        tmp_path,
        start,
        [(f"cut {WORK}/cues/cues-00004.npy", ["model1", 3], ["train"], f"{WORK}/cues/cues-00004.npy: ")],
    )
    same(tmp_path, unbroken)
