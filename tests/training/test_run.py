"""Training runs and checkpoints: they learn, go on to the same bytes, and refuse what is not theirs."""

import re
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import serialization

from ssl_jax.common.files import write_checksum
from ssl_jax.config import RUNS, Database, FrontEnd, Training
from ssl_jax.database.recipes import Manifest
from ssl_jax.networks.serialisation import from_named, named_arrays
from ssl_jax.training.batches import Mixtures, prefetch
from ssl_jax.training.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from ssl_jax.training.log import LOG_COLUMNS, log_text
from ssl_jax.training.run import train
from ssl_jax.training.trainer import coloured, learning_rates, target_table
from support.runs import outputs, refuses

TINY = Training(clips=2, epochs=2, batch=16, evaluation_share=1 / 9)  # 128 to train on, 16 held out
NEXT = replace(TINY, epochs=3, start_from="m", start_epoch=2)
TREE = {
    "a": np.arange(3.0, dtype=np.float32),
    "b": [np.ones((2, 2), np.int32)],
    "key": jax.random.key(7),
}


@pytest.fixture(scope="module")
def mixtures():
    """Two clips of 10 frames; the class can be learnt: it is written into the maps."""
    cues = np.random.default_rng(0).normal(size=(144, 3, 32, 10))
    cues[:, :, 0] += (np.arange(144) % 72)[:, None, None] / 10
    shards = [cues[:72].astype(np.float16), cues[72:].astype(np.float16)]
    return Mixtures(shards, Database(clips=2, shard=72), FrontEnd(hop=4410))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mixtures):
    """Runs of two epochs with the published network, one with another batch, and one of another network."""
    folder = tmp_path_factory.mktemp("trained")
    for name, change in (("m", {}), ("other", {"batch": 32}), ("resnet", {"model": "resnet"})):
        train(name, replace(TINY, **change), mixtures, folder, folder / "r")
    return folder


@pytest.fixture
def work(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "w")


def refused(says, work, name, config, mixtures):
    refuses(says, train, name, config, mixtures, work, work / "r")


def test_split_is_random_disjoint_and_whole(mixtures):
    training, evaluation = mixtures.split(Training(clips=100))
    assert len(training) == 5760 and len(evaluation) == 1440
    assert sorted([*training, *evaluation]) == list(range(7200))
    assert (
        abs(np.bincount(evaluation % 72, minlength=72) - 20).max() < 20
    )  # every azimuth, about evenly
    assert (mixtures.split(Training(clips=100, seed=1))[1] != evaluation).any()
    # where the manifest holds mixtures out, none of them is trained on
    held_out = np.arange(4 * 72) % 72 < 10
    clean = replace(mixtures, manifest=Manifest(held_out.astype(int), np.zeros(4 * 72), [], []))
    training, evaluation = clean.split(Training(clips=2))
    assert not held_out[training].any() and training.max() < 144 and len(training) == 124
    assert evaluation.tolist() == np.flatnonzero(held_out).tolist()


def test_mixtures_are_found_in_their_shards_and_mirrored(mixtures):
    numbers, (first, second) = np.array([3, 75, 72, 143]), mixtures.shards
    plain, labels = mixtures.batch(numbers)
    np.testing.assert_array_equal(plain, [first[3], second[3], second[0], second[71]])
    both, swapped = mixtures.batch(numbers, np.array([True, False, True, True]))
    assert labels.tolist() == [3, 3, 0, 71] and swapped.tolist() == [69, 3, 0, 1]
    assert (both[0] == plain[0] * np.array([-1, -1, 1])[:, None, None]).all() and (
        both[1] == plain[1]
    ).all()
    assert swapped.dtype == np.int32 and both.dtype == np.float16


def test_learning_rates():
    """Published: 1e-3 at epochs 17 and 18 (each starts afresh), 9.94e-4 at 19, 9.76e-4 at 20."""
    assert RUNS["model2_continued"].restart_epochs == (17, 18)
    for run, steps, wanted in (  # of ten or a hundred steps an epoch
        ("model2_continued", 10, {0: 1e-3, 9: 1e-3, 10: 9.94e-4, 20: 9.76e-4, 200: 1e-6}),
        ("model2", 10, {123: 2e-3}),
        (
            "ours",
            100,
            {0: 2e-4, 25: 1.1e-3, 50: 2e-3, 2000: 1e-6},
        ),  # a warm-up and a cosine step by step
    ):
        rates = learning_rates(RUNS[run], steps)
        found = [float(rates(s)) for s in wanted]
        assert found == pytest.approx(list(wanted.values()), rel=5e-4)  # three digits are published
    assert 1e-6 < float(rates(1000)) < float(rates(999))


def test_targets_are_spread_round_the_circle():
    table = target_table(5.0)
    np.testing.assert_allclose(table.sum(1), 1, rtol=1e-6)  # float32
    np.testing.assert_allclose(
        table, np.roll(table, (1, 1), (0, 1)), atol=1e-9
    )  # the same for every class
    assert table[0, 1] == table[0, 71] == pytest.approx(table[0, 0] * np.exp(-0.5), rel=1e-5)


def test_unlike_microphones_change_ilds_alone():
    cues, key = jax.numpy.zeros((2000, 4, 32, 2), "float16"), jax.random.key(0)
    changed = np.asarray(coloured(cues, 1.0, key), np.float64)
    assert not changed[:, [0, 2, 3]].any() and (changed[..., 0] == changed[..., 1]).all()  # steady
    assert np.sqrt(np.mean(changed[:, 1] ** 2)) == pytest.approx(
        1, rel=0.05
    )  # of 2000 draws of four numbers
    assert np.abs(changed.mean((2, 3))).max() < 2e-3  # no cosine changes the whole; float16
    assert not np.array_equal(changed, coloured(cues, 1.0, jax.random.fold_in(key, 1)))


def test_prefetch_keeps_order_and_shows_errors():
    assert list(prefetch(iter(range(50)))) == list(range(50))
    items = prefetch(1 / (1 - k) for k in range(2))
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        list(items)


def test_checkpoints_hold_arrays_by_name_and_what_does_not_fit_is_named(tmp_path, monkeypatch):
    arrays = named_arrays("x", TREE)
    back = from_named("x", TREE, arrays)
    assert set(arrays) == {"x.a", "x.b.0", "x.key"} and (back["b"][0] == TREE["b"][0]).all()
    assert (jax.random.bits(back["key"]) == jax.random.bits(TREE["key"])).all()
    for other in (None, np.zeros(4, np.float32), np.zeros(3), "text"):
        refuses("x.a", from_named, "x", TREE, {**arrays, "x.a": other})
    # only whole ones count, and none is written that would not be read again
    path, content = checkpoint_path(tmp_path, "run", 3), {"arrays": arrays}
    assert path.name == "epoch-003.msgpack" and load_checkpoint(path) is None
    save_checkpoint(path, content)
    np.testing.assert_array_equal(load_checkpoint(path)["arrays"]["x.a"], TREE["a"])
    path.with_suffix(".sha256").unlink()  # killed before the checksum was written
    assert load_checkpoint(path) is None
    monkeypatch.setattr("ssl_jax.training.checkpoints.MAX_BYTES", 50)
    says = "a.msgpack: 0 MiB, over the 0 that are read again: raise MAX_BYTES"
    refuses(says, save_checkpoint, tmp_path / "a.msgpack", content)
    assert not (tmp_path / "a.msgpack").exists()


def test_it_learns_and_writes_what_it_promises(tmp_path, mixtures):
    run = replace(TINY, epochs=12, learning_rate=3e-3)
    metrics = train("model2", run, mixtures, tmp_path / "w", tmp_path / "r")
    files = outputs(tmp_path / "r")
    assert set(files) == {
        "model2.csv",
        "model2.log",
        "model2_confusion.csv",
        "model2_epoch12.msgpack",
    }
    rows = files["model2.csv"].decode().splitlines()
    assert rows[0] == ",".join(LOG_COLUMNS) and len(rows) == 13
    first, last = (
        dict(zip(LOG_COLUMNS, map(float, rows[i].split(",")), strict=True)) for i in (1, 12)
    )
    assert last["train_loss"] < first["train_loss"] / 1.5 and last["learning_rate"] == 3e-3
    # the log's last line and the returned metrics are of the same weights, but for its two decimals
    assert last["eval_top1"] == pytest.approx(metrics["top1"], abs=0.01)
    counts = np.loadtxt(tmp_path / "r/model2_confusion.csv", delimiter=",")
    assert counts.sum() == 16 and 100 * np.trace(counts) / 16 == pytest.approx(metrics["top1"])
    assert len(files["model2_epoch12.msgpack"]) < 1_000_000


def test_log_has_the_published_format():
    values = (1, 20, 3.58271, 5.9, 63.85, 3.1251, 10.28, 76.11, 0, 0, 0)
    line = "Epoch 1/20: Train Loss=3.5827, Top-1=5.90%, Top-5=63.85% | "
    line += "Evaluation Loss=3.1251, Top-1=10.28%, Top-5=76.11%\n"
    row = dict(zip(LOG_COLUMNS, values, strict=True))
    assert log_text(TINY, [row]) == line
    continued = replace(TINY, start_from="model2", start_epoch=16)
    assert log_text(continued, [row]) == "Reduced Learning rate from epoch 16.\n" + line


@pytest.mark.parametrize(
    "change", [dict(model="resnet"), dict(mirrored=True, label_spread=5, coloured=1)]
)
def test_a_resumed_run_gives_the_same_bytes(tmp_path, mixtures, capsys, change):
    """Stopped after epoch 1, its last file lost: epochs 2 and 3 must not show it. One network has dropout."""
    run = replace(TINY, epochs=3, cosine_epochs=5, **change)
    for folder in "ab":
        train("m", run, mixtures, tmp_path / folder, tmp_path / folder / "r")
    whole = outputs(tmp_path / "a/r"), outputs(tmp_path / "a/m")
    assert whole == (outputs(tmp_path / "b/r"), outputs(tmp_path / "b/m"))
    checkpoint_path(tmp_path / "b", "m", 3).unlink()
    second = checkpoint_path(tmp_path / "b", "m", 2)
    second.write_bytes(second.read_bytes()[:-1])  # damaged: must be noticed, and epoch 1 used
    shutil.rmtree(tmp_path / "b/r")
    capsys.readouterr()
    train("m", run, mixtures, tmp_path / "b", tmp_path / "b/r")
    said = capsys.readouterr().err
    assert "epoch-002.msgpack: damaged or not finished: not used" in said
    assert [f"Epoch {epoch}/20: " in said for epoch in (1, 2, 3)] == [False, True, True]
    assert whole == (outputs(tmp_path / "b/r"), outputs(tmp_path / "b/m"))


def test_continuation_starts_from_the_named_epoch_with_a_fresh_optimiser(work, mixtures):
    # no learning: the continuation must end where epoch 1 stood
    run = replace(TINY, start_from="m", start_epoch=1, learning_rate=0.0, restart_epochs=(2,))
    train("second", run, mixtures, work, work / "r")
    before = load_checkpoint(checkpoint_path(work, "m", 1))["arrays"]
    after = load_checkpoint(checkpoint_path(work, "second", 2))["arrays"]
    weights, count = ([k for k in before if part in k] for part in ("weights.", "count"))
    assert weights and all((before[k] == after[k]).all() for k in weights)
    assert count and all(after[k] == 8 for k in count)  # 128 mixtures are 8 steps of 16


def test_a_run_may_end_between_its_start_and_its_last_weights(work, mixtures):
    train("next", replace(NEXT, start_share=0.25), mixtures, work, work / "r")
    start, last = (
        load_checkpoint(checkpoint_path(work, *at))["arrays"] for at in (("m", 2), ("next", 3))
    )
    for name, found in serialization.msgpack_restore(
        (work / "r/next_epoch3.msgpack").read_bytes()
    ).items():
        np.testing.assert_allclose(
            found, 0.25 * start[name] + 0.75 * last[name], rtol=1e-5, atol=1e-7
        )
        assert not np.array_equal(start[name], last[name])


def test_a_checkpoint_that_is_not_ours_is_refused_though_its_checksum_agrees(work, mixtures):
    path, places = checkpoint_path(work, "m", 2), (("other", 2), ("resnet", 2), ("m", 1))
    good, logs = (
        load_checkpoint(path),
        (None, np.zeros((0, 11)), np.zeros((2, 3)), 5, np.array("x")),
    )
    changes = [*({"log": log} for log in logs), *({"settings": text} for text in ("{", 3, "[]"))]
    malformed = [serialization.msgpack_serialize({**good, **change}) for change in changes]
    malformed += [b"x", b"", (work / "r/m_epoch2.msgpack").read_bytes()]
    contents = {
        "is of another run or epoch": [checkpoint_path(work, *p).read_bytes() for p in places]
    }
    contents["(not a readable msgpack|holds no arrays|is no checkpoint|is of another run)"] = (
        malformed
    )
    for says, several in contents.items():
        for content in several:
            path.write_bytes(content)
            write_checksum(path)
            for name, config in (("m", TINY), ("next", NEXT)):
                refused(
                    f"m/epoch-002.msgpack: {says}.*: delete it and run",
                    work,
                    name,
                    config,
                    mixtures,
                )


def test_a_start_that_does_not_fit_is_refused(work, mixtures):
    says = r"resnet/epoch-002.msgpack: is of another network \(weights\.\S+ is missing"
    refused(says, work, "a", replace(NEXT, start_from="resnet"), mixtures)
    nothing = replace(NEXT, start_from="none")
    refused("none/epoch-002.msgpack: missing or damaged", work, "b", nothing, mixtures)
    others = replace(mixtures, database=replace(mixtures.database, bits=0))
    refused("m/settings.json: was made with database.bits = 16, now 0", work, "c", NEXT, others)


def test_other_settings_are_refused_by_name(work, mixtures):
    changes = {"batch": 8, "seed": 1, "restart_epochs": (1,), "model": "resnet", "clips": 1}
    for field, value in changes.items():
        old, new = (list(v) if isinstance(v, tuple) else v for v in (getattr(TINY, field), value))
        says = re.escape(f"training.{field} = {old!r}, now {new!r}")
        refused(says, work, "m", replace(TINY, **{field: value}), mixtures)
    (work / "m/settings.json").unlink()
    refused("m/settings.json: is missing, so nobody knows", work, "m", TINY, mixtures)


def test_divergence_is_reported(tmp_path, mixtures):
    broken = [np.full_like(shard, np.nan) for shard in mixtures.shards]
    refused("diverged", tmp_path, "m", TINY, replace(mixtures, shards=broken))
