"""Same settings, same machine: same bytes, however often the run was killed on its way."""

import shutil

import numpy as np
import pytest

from support.runs import NAME, ROOT, STAGES, moments, outputs, same


def kills(seed, stages, last, seconds, first=0):
    """A kill in each of `stages`: within, before or some time after one of its writes."""
    rng = np.random.default_rng(seed)
    whens = [("within", "before", rng.uniform(0, seconds))[(first + i) % 3] for i in range(len(stages))]
    return [
        {"do": "kill", "at": at, "when": when}
        for at, when in zip(moments(rng, stages, last), whens, strict=True)
    ]


def test_killed_in_every_stage_and_run_again_gives_the_same_bytes(tmp_path, start, unbroken):
    names = {
        f"work/{NAME}/{name}"
        for name in (
            "manifest.csv",
            "cues/store.json",
            *(f"cues/cues-{s:05d}.{end}" for s in range(6) for end in ("npy", "sha256")),
            *(
                f"{run}/epoch-00{epoch}.{end}"
                for run, first in (("model1", 1), ("model2", 1), ("model2_continued", 2))
                for epoch in (first, first + 1)
                for end in ("msgpack", "sha256")
            ),
        )
    }
    assert names <= set(unbroken) and not any(name.endswith(".part") for name in unbroken)
    stages = ("database", "train")
    # a stage's writes: 2 of its settings, then 4 of every shard or epoch that is still to be made
    last = {"cues": 8, "model1": 9, "model2": 9, "model2_continued": 9, "results": 6}
    for kill in kills(1, STAGES, last, seconds=0.03):
        start(tmp_path, [(kill, stages)], "--hop=882")
    start(tmp_path, [(None, stages)], "--hop=882")
    same(tmp_path, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("round", range(3))
def test_the_real_pipeline_killed_ten_times(tmp_path_factory, tmp_path, start, round):
    """30 kills in all, three times through every stage of `python -m ssl_jax all --quick`."""

    def prepare(folder):
        shutil.copytree(ROOT / "results/reported", folder / "results/reported")
        return folder

    shared = tmp_path_factory.getbasetemp() / "whole"  # made in the first round
    if not shared.exists():
        start(prepare(shared), [(None, ["all"])], "--quick", tiny=False)
    prepare(tmp_path)
    last = {
        "cues": 6,
        "model1": 6,
        "model2": 6,
        "model2_continued": 6,
        "results": 8,
        "figures": 8,
        "report": 3,
    }
    stages = ("cues",) * 3 + STAGES[1:4] + ("results",) * 2 + ("figures", "report")
    for kill in kills((2, round), stages, last, seconds=0.5, first=round):
        start(tmp_path, [(kill, ["all"])], "--quick", tiny=False)
    start(tmp_path, [(None, ["all"])], "--quick", tiny=False)
    same(tmp_path, outputs(shared))
