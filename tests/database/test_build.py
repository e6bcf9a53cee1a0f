"""Mixing, rendering, the cue store and the database: whole, completed, or refused by name."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_checksum
from ssl_jax.config import Database, FrontEnd
from ssl_jax.database.build import build, export_wav
from ssl_jax.database.cue_store import CueStore, Shard
from ssl_jax.database.program import extract, render, waveforms_of
from ssl_jax.database.recipes import recipes_of
from ssl_jax.sounds.mixing import mean_power, mix, spatialise
from support.runs import refuses

FRONT = FrontEnd()
CONFIG = Database(clips=2, shard=50)  # 144 mixtures: two shards of 50, one of 44
SHAPE = (50, 3, 32, 100)
STEP = 1 / 2**15  # of 16 bits
SNR_TOLERANCE = 0.2  # dB: voice and noise of 4000 samples are not quite uncorrelated


@pytest.fixture(scope="module")
def rendered(sounds):
    waveforms = jax.tree.map(jnp.asarray, waveforms_of(sounds))
    recipes, _ = recipes_of(CONFIG, sounds)

    def render_some(numbers, *bits):
        some = recipes.rows(numbers)
        return render(waveforms, sounds.speech[some.clip], some, *bits)

    return render_some


@pytest.fixture(scope="module")
def made(tmp_path_factory, sounds):
    """A folder with a whole store, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    build(folder, CONFIG, FRONT, sounds)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    return CueStore(shutil.copytree(made, tmp_path / "copy") / "cues", CONFIG, FRONT)


def test_spatialise_is_convolution_and_power_a_mean():
    rng = np.random.default_rng(0)
    for taps in (1, 200, 512):
        x, h = rng.standard_normal(3000), rng.standard_normal((2, taps))
        ears = spatialise(jnp.asarray(x, jnp.float32), jnp.asarray(h, jnp.float32))
        reference = np.stack([np.convolve(x, ear)[:3000] for ear in h])
        np.testing.assert_allclose(ears, reference, atol=1e-5 * abs(reference).max())  # float32
    for samples in (1, 127, 128, 44_100):
        ears = rng.standard_normal((5, 3, 2, samples)).astype(np.float32)
        power = (ears.astype(float) ** 2).mean((-2, -1))
        np.testing.assert_allclose(mean_power(jnp.asarray(ears)), power, rtol=1e-6)  # float32


def test_mix_has_the_asked_snr_and_peak():
    rng = np.random.default_rng(0)
    target, noises = rng.standard_normal((2, 4000)), 7 * rng.standard_normal((2, 2, 4000))
    for snr in ([10.0, 200.0], [200.0, 25.0]):  # one noise at a time; the other is 200 dB down
        mixture = np.asarray(
            mix(*(jnp.asarray(a, jnp.float32) for a in (target, noises, np.array(snr))))
        )
        assert abs(mixture).max() == pytest.approx(1)
        # the target's share by projection, what is left is noise
        gain = (mixture * target).sum() / (target**2).sum()
        ratio = 10 * np.log10((gain * target).var() / (mixture - gain * target).var())
        # the scaled noise is divided by sqrt(2): 3 dB less than asked for (published)
        assert ratio == pytest.approx(min(snr) + 10 * np.log10(2), abs=SNR_TOLERANCE)
    zero = jnp.zeros((2, 100))
    none = jnp.zeros((2, 2, 100))
    snr = jnp.array([15.0, 15.0])
    assert not np.asarray(mix(zero, none, snr)).any()  # silence mixes to silence
    assert np.isfinite(np.asarray(mix(zero + 1, none, snr))).all()


def test_exported_wav_is_the_mixture_in_sixteen_bits(tmp_path, sounds, rendered):
    exact = rendered(slice(2), 0)
    stored = np.asarray(rendered(slice(2)))
    np.testing.assert_array_equal(stored / STEP, np.round(stored / STEP))
    # rounded, after scaling by one step less than 1
    np.testing.assert_allclose(stored, exact, atol=2 * STEP)
    export_wav(tmp_path, 3, CONFIG, FRONT, sounds)
    third = sorted(tmp_path.glob("*.wav"))[2]
    assert third.name == "mixture_00002_azimuth_010.wav"
    assert soundfile.info(third).subtype == "PCM_16"
    written, fs = soundfile.read(third)
    assert fs == 44_100 and written.shape == (44_100, 2)
    # a mixture rendered by itself is compiled anew and may round to the next step
    np.testing.assert_allclose(written.T, rendered(slice(2, 3))[0], atol=1.01 * STEP)
    assert len((tmp_path / "manifest.csv").read_text().splitlines()) == 4


def test_store_holds_the_cues_of_the_mixtures(made, rendered):
    """Batches of another size round differently: lags may differ where two are all but equal."""
    shards = CueStore(made / "cues", CONFIG, FRONT).read()
    assert [shard.shape for shard in shards] == [SHAPE, SHAPE, (44, *SHAPE[1:])]
    direct = np.asarray(extract(rendered([50, 143]), FRONT), np.float32)
    stored = np.stack([shards[1][0], shards[2][43]]).astype(np.float32)
    assert (abs(direct[:, 0] - stored[:, 0]) < 1e-3).mean() > 0.995
    assert np.median(abs(direct - stored)) < 1e-3


def test_rows_of_a_shard_are_those_of_the_file_and_one_cut_short_or_gone_is_named(copied):
    for shard in copied.read():
        maps = np.load(shard.path)
        assert len(shard) == len(maps) and shard.dtype == maps.dtype == np.float16
        assert all((shard[row] == maps[row]).all() for row in (0, 17, len(maps) - 1))
        for row in (-1, len(maps)):
            with pytest.raises(IndexError):
                shard[row]
    shard = copied.read()[1]
    shard.path.write_bytes(shard.path.read_bytes()[:-1])
    assert np.isfinite(shard[48]).all()
    refuses("cues-00001.npy: has been cut short", shard.__getitem__, 49)
    shard.path.unlink()
    for look in (lambda: shard[0], lambda: Shard(shard.path, SHAPE)):
        with pytest.raises(FileNotFoundError, match="cues-00001.npy"):
            look()


def test_what_is_no_shard_is_refused_though_its_checksum_agrees(copied):
    path = copied.path(0)
    contents = [
        np.zeros((50, 3, 32, 99), np.float16),
        np.zeros(SHAPE, np.float32),
        np.zeros(SHAPE, ">f2"),
        np.zeros(SHAPE, np.float16, "F"),
        path.read_bytes()[:-1],
        b"x",
    ]
    for content in contents:
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        write_checksum(path)
        refuses("cues-00000.npy: is no shard of this store", copied.read)


def test_a_store_of_other_settings_is_not_trained_on(copied):
    apart = replace(CONFIG, disjoint=("speaker", "head"))
    says = r"disjoint = \[\], now \['speaker', 'head'\]"
    with pytest.raises(
        InputError, match=f"store.json: was made with database.{says}: use another --name"
    ):
        CueStore(copied.folder, apart, FRONT).read()
    (copied.folder / "store.json").unlink()
    refuses("store.json: is missing, so nobody knows", copied.read)


def test_an_interrupted_store_is_completed_to_the_same_bytes(copied, made, sounds, capsys):
    damaged = bytearray(copied.path(0).read_bytes())
    damaged[5000] ^= 1
    copied.path(0).write_bytes(damaged)
    copied.path(1).with_suffix(".sha256").unlink()  # killed between the two writes
    copied.path(2).unlink()
    refuses("cues-00000.npy: missing or damaged: run the database stage again", copied.read)
    build(copied.folder.parent, CONFIG, FRONT, sounds)
    said = capsys.readouterr().err
    for shard in range(3):
        assert (
            copied.path(shard).read_bytes()
            == (made / "cues" / copied.path(shard).name).read_bytes()
        )
        assert (f"cues-0000{shard}.npy: damaged or not finished: made again" in said) == (shard < 2)


def test_a_complete_store_is_left_alone_and_a_damaged_manifest_written_again(copied, sounds):
    folder = copied.folder.parent
    manifest = folder / "manifest.csv"
    written = [copied.path(shard).stat().st_mtime_ns for shard in range(3)]
    good = manifest.read_bytes()
    silent = replace(sounds.noises, waveforms=0 * sounds.noises.waveforms)
    for bad in (b"", good[: len(good) // 2], b"\xff" + good):
        manifest.write_bytes(bad)
        build(folder, CONFIG, FRONT, replace(sounds, noises=silent))
        assert manifest.read_bytes() == good
    assert [copied.path(shard).stat().st_mtime_ns for shard in range(3)] == written


@pytest.mark.parametrize("change", ["order", "file", "start"])
def test_a_store_of_other_recordings_is_refused(copied, sounds, change):
    clips = sounds.speech.clips
    if change == "order":
        clips = clips[::-1]
    elif change == "file":
        clips = [replace(clip, file=f"new/{clip.file}") for clip in clips]
    else:
        clips = [replace(clip, start_s=clip.start_s + 1) for clip in clips]
    others = SimpleNamespace(clips=clips)
    says = "manifest.csv: names other recordings than there are now"
    refuses(says, build, copied.folder.parent, CONFIG, FRONT, replace(sounds, speech=others))


def test_a_store_of_another_front_end_is_refused(copied, sounds):
    front = replace(FRONT, hair_cell="none")
    says = "store.json: was made with front.hair_cell = 'roman', now 'none'"
    refuses(says, build, copied.folder.parent, CONFIG, front, sounds)


def test_a_store_that_lost_its_settings_is_refused(copied, sounds):
    (copied.folder / "store.json").unlink()
    says = "store.json: is missing, so nobody knows"
    refuses(says, build, copied.folder.parent, CONFIG, FRONT, sounds)


def test_processes_with_other_recordings_are_refused(tmp_path, sounds, monkeypatch):
    monkeypatch.setattr("ssl_jax.database.build.broadcast_from_first", lambda digest: digest + 1)
    refuses("this process and the first have other", build, tmp_path, CONFIG, FRONT, sounds)
    assert not (tmp_path / "manifest.csv").exists()
