import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_checksum
from ssl_jax.config import RUNS, Training
from ssl_jax.training.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from ssl_jax.training.run import LOG_COLUMNS, log_text, split, train
from ssl_jax.training.trainer import Mixtures, Trainer, learning_rates, prefetch, target_table

TINY = Training(clips=2, epochs=2, batch=16, evaluation_share=1 / 9)  # 128 to train on, 16 held out


@pytest.fixture(scope="module")
def mixtures():
    """Two clips of 10 frames; the class can be learnt: it is written into the maps."""
    rng = np.random.default_rng(0)
    cues = rng.normal(size=(144, 3, 32, 10))
    cues[:, :, 0] += (np.arange(144) % 72)[:, None, None] / 10
    return Mixtures([cues[:72].astype(np.float16), cues[72:].astype(np.float16)])


def outputs(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_split_is_random_disjoint_and_whole():
    training, evaluation = split(Training(clips=100))
    assert len(training) == 5760 and len(evaluation) == 1440
    np.testing.assert_array_equal(np.sort(np.concatenate([training, evaluation])), np.arange(7200))
    assert abs(np.bincount(evaluation % 72, minlength=72) - 20).max() < 20  # every azimuth, about evenly
    assert (split(Training(clips=100, seed=1))[1] != evaluation).any()


def test_mixtures_are_found_in_their_shards(mixtures):
    cues, labels = mixtures.batch(np.array([143, 0, 72]))
    np.testing.assert_array_equal(
        cues, [mixtures.shards[1][71], mixtures.shards[0][0], mixtures.shards[1][0]]
    )
    np.testing.assert_array_equal(labels, [71, 0, 0])


def test_published_learning_rates():
    """1e-3 at epochs 17 and 18 (each starts afresh), 9.94e-4 at 19, 9.76e-4 at 20."""
    run = RUNS["model2_continued"]
    assert run.restart_epochs == (17, 18)
    rates = learning_rates(run, steps_per_epoch=10)
    assert [float(rates(s)) for s in (0, 9, 10, 20)] == pytest.approx(
        [1e-3, 1e-3, 9.94e-4, 9.76e-4], abs=5e-7
    )
    assert float(rates(200)) == pytest.approx(1e-6)
    assert float(learning_rates(RUNS["model2"], 10)(123)) == pytest.approx(2e-3)


def test_prefetch_keeps_order_and_shows_errors():
    assert list(prefetch(iter(range(50)))) == list(range(50))

    def broken():
        yield 1
        raise OSError("gone")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        list(items)


def test_it_learns_and_writes_what_it_promises(tmp_path, mixtures):
    run = replace(TINY, epochs=12, learning_rate=3e-3)
    metrics = train("model2", run, {}, mixtures, tmp_path / "w", tmp_path / "r")
    files = outputs(tmp_path / "r")
    assert set(files) == {"model2.csv", "model2.log", "model2_confusion.csv", "model2_epoch12.msgpack"}
    rows = files["model2.csv"].decode().splitlines()
    assert rows[0] == ",".join(LOG_COLUMNS) and len(rows) == 13
    first, last = (dict(zip(LOG_COLUMNS, map(float, rows[i].split(",")), strict=True)) for i in (1, 12))
    assert last["train_loss"] < first["train_loss"] / 1.5 and last["learning_rate"] == 3e-3
    # the log's last line and the returned metrics are of the same weights
    assert last["eval_top1"] == pytest.approx(metrics["top1"], abs=0.01)
    counts = np.loadtxt(tmp_path / "r/model2_confusion.csv", delimiter=",")
    assert counts.sum() == 16 and 100 * np.trace(counts) / 16 == pytest.approx(metrics["top1"])
    assert len(files["model2_epoch12.msgpack"]) < 1_000_000


def test_log_has_the_published_format():
    row = dict.fromkeys(LOG_COLUMNS, 0) | {
        "epoch": 1,
        "epochs": 20,
        "train_loss": 3.58271,
        "train_top1": 5.9,
        "train_top5": 63.85,
        "eval_loss": 3.1251,
        "eval_top1": 10.28,
        "eval_top5": 76.11,
    }
    line = (
        "Epoch 1/20: Train Loss=3.5827, Top-1=5.90%, Top-5=63.85% | "
        "Evaluation Loss=3.1251, Top-1=10.28%, Top-5=76.11%\n"
    )
    assert log_text(TINY, [row]) == line
    continued = replace(TINY, start_from="model2", start_epoch=16)
    assert log_text(continued, [row]) == "Reduced Learning rate from epoch 16.\n" + line


@pytest.mark.parametrize("model", ["three_branch", "resnet"])
def test_a_resumed_run_gives_the_same_bytes(tmp_path, mixtures, model):
    """Stopped after epoch 1, its last file lost: epochs 2 and 3 must not show it."""
    run = replace(TINY, model=model, epochs=3, cosine_epochs=5)
    train("m", run, {}, mixtures, tmp_path / "a", tmp_path / "ra")
    train("m", run, {}, mixtures, tmp_path / "b", tmp_path / "rb")
    assert outputs(tmp_path / "ra") == outputs(tmp_path / "rb")
    checkpoint_path(tmp_path / "b", "m", 3).unlink()
    second = checkpoint_path(tmp_path / "b", "m", 2)
    second.write_bytes(second.read_bytes()[:-1])  # damaged: must be noticed, and epoch 1 used
    assert load_checkpoint(second) is None
    for file in (tmp_path / "rb").iterdir():
        file.unlink()
    train("m", run, {}, mixtures, tmp_path / "b", tmp_path / "rb")
    assert outputs(tmp_path / "ra") == outputs(tmp_path / "rb")
    assert outputs(tmp_path / "a/m") == outputs(tmp_path / "b/m")


def test_continuation_starts_from_the_named_epoch_with_a_fresh_optimiser(tmp_path, mixtures):
    train("first", TINY, {}, mixtures, tmp_path, tmp_path / "r")
    # no learning: the continuation must end where epoch 1 stood
    run = replace(TINY, start_from="first", start_epoch=1, learning_rate=0.0, restart_epochs=(2,))
    train("second", run, {}, mixtures, tmp_path, tmp_path / "r")
    before = load_checkpoint(checkpoint_path(tmp_path, "first", 1))["arrays"]
    after = load_checkpoint(checkpoint_path(tmp_path, "second", 2))["arrays"]
    weights = [k for k in before if k.startswith("weights")]
    assert weights and all((before[k] == after[k]).all() for k in weights)
    count = [k for k in after if k.endswith("count")]
    assert count and all(after[k] == 8 for k in count)  # 128 mixtures are 8 steps of 16


def test_continuation_without_its_start_is_refused(tmp_path, mixtures):
    run = replace(TINY, epochs=20, start_from="model2", start_epoch=16)
    with pytest.raises(InputError, match="epoch-016.msgpack: missing or damaged"):
        train("model2_continued", run, {}, mixtures, tmp_path, tmp_path)


def copy(folder, run, epoch, to, to_epoch):
    """Put a checkpoint and its checksum, which agrees, in another's place."""
    for suffix in (".msgpack", ".sha256"):
        content = checkpoint_path(folder, run, epoch).with_suffix(suffix).read_bytes()
        checkpoint_path(folder, to, to_epoch).with_suffix(suffix).write_bytes(content)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mixtures):
    """Runs of two epochs with the published network, one with another batch, and one of another network."""
    folder = tmp_path_factory.mktemp("trained")
    for name, run in (
        ("m", TINY),
        ("other", replace(TINY, batch=32)),
        ("resnet", replace(TINY, model="resnet")),
    ):
        train(name, run, {}, mixtures, folder, folder / "r")
    return folder


@pytest.fixture
def work(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "w")
    return tmp_path / "w"


@pytest.mark.parametrize("damage", ["bit", "truncated", "empty", "no checksum", "garbage checksum"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    work, trained, mixtures, damage, monkeypatch, capsys
):
    path = checkpoint_path(work, "m", 2)
    content, middle = path.read_bytes(), path.stat().st_size // 2
    if damage == "bit":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "no checksum":
        path.with_suffix(".sha256").unlink()
    elif damage == "garbage checksum":
        path.with_suffix(".sha256").write_bytes(b"\xff\xfe\x00")
    else:
        path.write_bytes(content[:-1] if damage == "truncated" else b"")
    epochs, whole = [], Trainer.train_epoch
    monkeypatch.setattr(
        Trainer, "train_epoch", lambda self, batches: epochs.append(1) or whole(self, batches)
    )
    train("m", TINY, {}, mixtures, work, work / "r")
    assert "epoch-002.msgpack: damaged or not finished: not used" in capsys.readouterr().err
    assert len(epochs) == 1 and outputs(work / "m") == outputs(trained / "m")


@pytest.mark.parametrize(
    "change",
    [
        {"log": None},
        {"log": np.zeros((0, 11))},
        {"log": np.zeros((2, 3))},
        {"log": 5},
        {"log": np.array("x")},
        {"settings": "{"},
        {"settings": 3},
        {"settings": "[]"},
    ],
)
def test_a_checkpoint_with_a_malformed_log_or_settings_is_refused(work, mixtures, change):
    path = checkpoint_path(work, "m", 2)
    save_checkpoint(path, {**load_checkpoint(path), **change})
    with pytest.raises(InputError, match=r"m/epoch-002.msgpack: (is|not) .*: delete it and run again"):
        train("m", TINY, {}, mixtures, work, work / "r")


@pytest.mark.parametrize("run, epoch", [("other", 2), ("resnet", 2), ("m", 1)])
def test_a_checkpoint_of_another_run_or_epoch_is_refused(work, mixtures, run, epoch):
    """To go on with, and to start from; its checksum agrees."""
    copy(work, run, epoch, "m", 2)
    for name, config in (("m", TINY), ("next", replace(TINY, epochs=3, start_from="m", start_epoch=2))):
        with pytest.raises(InputError, match=r"m/epoch-002.msgpack: is of another run or epoch: delete it"):
            train(name, config, {}, mixtures, work, work / "r")


def test_weights_of_another_shape_are_refused_by_file_and_name(work, mixtures):
    run = replace(TINY, epochs=3, start_from="resnet", start_epoch=2)
    with pytest.raises(
        InputError, match=r"resnet/epoch-002.msgpack: is of another network \(weights\.\S+ is missing"
    ):
        train("m3", run, {}, mixtures, work, work / "r")


def test_what_is_no_checkpoint_is_refused_though_its_checksum_agrees(work, mixtures):
    path = checkpoint_path(work, "m", 2)
    for content in (b"x", b"", (work / "r/m_epoch2.msgpack").read_bytes()):
        path.write_bytes(content)
        write_checksum(path)
        with pytest.raises(
            InputError,
            match=r"m/epoch-002.msgpack: (not a readable msgpack|holds no arrays|is no checkpoint).*: delete it",
        ):
            train("m", TINY, {}, mixtures, work, work / "r")


def test_a_start_trained_on_another_database_is_refused(tmp_path, mixtures):
    train("first", replace(TINY, epochs=1), {"database": {"bits": 16}}, mixtures, tmp_path, tmp_path / "r")
    run = replace(TINY, start_from="first", start_epoch=1)
    with pytest.raises(InputError, match="first/settings.json: was made with database.bits = 16, now 0"):
        train("second", run, {"database": {"bits": 0}}, mixtures, tmp_path, tmp_path / "r")


def test_checkpoints_without_their_settings_are_refused(work, mixtures):
    (work / "m/settings.json").unlink()
    with pytest.raises(InputError, match="m/settings.json: is missing, so nobody knows"):
        train("m", TINY, {}, mixtures, work, work / "r")


def test_another_configuration_is_refused_by_name(tmp_path, mixtures):
    train("m", replace(TINY, epochs=1), {}, mixtures, tmp_path, tmp_path / "r")
    for field, value in (
        ("batch", 8),
        ("seed", 1),
        ("restart_epochs", (1,)),
        ("model", "resnet"),
        ("clips", 1),
    ):
        old = getattr(TINY, field)
        shown = [list(v) if isinstance(v, tuple) else v for v in (old, value)]
        with pytest.raises(InputError, match=re.escape(f"training.{field} = {shown[0]!r}, now {shown[1]!r}")):
            train("m", replace(TINY, epochs=1, **{field: value}), {}, mixtures, tmp_path, tmp_path / "r")


def test_divergence_is_reported(tmp_path, mixtures):
    broken = Mixtures([np.full_like(s, np.nan) for s in mixtures.shards])
    with pytest.raises(InputError, match="diverged"):
        train("m", TINY, {}, broken, tmp_path, tmp_path / "r")


def test_mirroring_swaps_ears_and_sides(mixtures):
    numbers = np.array([3, 75, 72, 143])
    plain, labels = mixtures.batch(numbers)
    both, swapped = mixtures.batch(numbers, np.array([True, False, True, True]))
    assert labels.tolist() == [3, 3, 0, 71] and swapped.tolist() == [69, 3, 0, 1]
    np.testing.assert_array_equal(both[0], plain[0] * np.array([-1, -1, 1])[:, None, None])
    np.testing.assert_array_equal(both[1], plain[1])
    assert swapped.dtype == np.int32 and both.dtype == np.float16


def test_targets_are_spread_round_the_circle():
    table = target_table(5.0)
    np.testing.assert_allclose(table.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        table, np.roll(np.roll(table, 1, 0), 1, 1), atol=1e-9
    )  # the same for every class
    assert table[0, 1] == table[0, 71] == pytest.approx(table[0, 0] * np.exp(-0.5), rel=1e-5)


def test_a_warm_up_and_a_cosine_step_by_step():
    rates = learning_rates(RUNS["ours"], 100)
    assert [float(rates(s)) for s in (0, 50, 2000)] == pytest.approx([2e-4, 2e-3, 1e-6])
    assert float(rates(25)) == pytest.approx(1.1e-3) and 1e-6 < float(rates(1000)) < float(rates(999))


def test_what_is_held_out_is_never_trained_on():
    held_out = np.arange(4 * 72) % 72 < 10
    training, evaluation = split(Training(clips=2), held_out)
    assert not held_out[training].any() and training.max() < 144 and len(training) == 124
    np.testing.assert_array_equal(evaluation, np.flatnonzero(held_out))


def test_a_run_with_mirrored_heads_is_resumed_to_the_same_bytes(tmp_path, mixtures):
    run = replace(TINY, mirrored=True, label_spread=5.0)
    train("m", run, {}, mixtures, tmp_path / "a", tmp_path / "ra")
    train("m", replace(run), {}, mixtures, tmp_path / "b", tmp_path / "rb")
    checkpoint_path(tmp_path / "b", "m", 2).unlink()
    train("m", run, {}, mixtures, tmp_path / "b", tmp_path / "rb")
    assert outputs(tmp_path / "ra") == outputs(tmp_path / "rb")
