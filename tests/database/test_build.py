import csv

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ssl_jax.common.errors import InputError
from ssl_jax.config import Database, FrontEnd
from ssl_jax.database.build import Sounds, build, export_wav, extract, mean_power, mix, render, spatialise
from ssl_jax.database.recipes import Recipes, draw_recipes, manifest_csv

FRONT = FrontEnd()
CONFIG = Database(clips=2, shard=48)  # 144 mixtures in three shards


@pytest.fixture(scope="module")
def recipes():
    return draw_recipes(Database(clips=30), heads=20, noise_classes=10, noise_files=20)


@pytest.fixture
def sounds(corpus, heads):
    return Sounds(jnp.asarray(corpus.noise), jnp.asarray(heads.hrirs))


def test_recipes_cover_every_clip_and_azimuth_once(recipes):
    pairs = set(zip(recipes.clip.tolist(), recipes.azimuth.tolist(), strict=True))
    assert len(pairs) == len(recipes.clip) == 30 * 72


def test_recipes_are_within_their_bounds_and_differ(recipes):
    assert recipes.head.min() == 0 and recipes.head.max() == 19
    assert recipes.noise_class.min() == 0 and recipes.noise_class.max() == 9
    for pair, top in ((recipes.noise_file, 19), (recipes.noise_azimuth, 71)):
        assert (pair[:, 0] != pair[:, 1]).all()
        assert pair.min() == 0 and pair.max() == top
    assert 15 <= recipes.snr.min() < 15.5 and 39.5 < recipes.snr.max() <= 40


def test_draws_are_uniform(recipes):
    """Chi-squared over heads, files and azimuths: far tails only would fail."""
    for values, choices in (
        (recipes.head, 20),
        (recipes.noise_file[:, 1], 20),
        (recipes.noise_azimuth[:, 0], 72),
    ):
        counts = np.bincount(values, minlength=choices)
        expected = len(values) / choices
        assert ((counts - expected) ** 2 / expected).sum() < choices + 5 * np.sqrt(2 * choices)


def test_a_recipe_depends_on_seed_and_its_own_index_alone(recipes):
    fewer = draw_recipes(Database(clips=3), 20, 10, 20)
    other = draw_recipes(Database(clips=3, seed=1), 20, 10, 20)
    for some, all_of_them, elsewhere in zip(fewer, recipes, other, strict=True):
        np.testing.assert_array_equal(some, all_of_them[: len(some)])
    assert (fewer.snr != other.snr).all()


def test_manifest_names_what_is_rendered(recipes, corpus, heads):
    first = Recipes(*(f[:100] for f in recipes))
    rows = list(csv.DictReader(manifest_csv(first, corpus, heads)))
    row = rows[75]  # second clip, azimuth class 3
    assert row["azimuth"] == "15" and row["clip"] == corpus.speech_info[1].name
    assert row["head"] == heads.names[recipes.head[75]]
    assert row["noise_file_2"] == corpus.noise_files[recipes.noise_class[75]][recipes.noise_file[75, 1]]
    assert float(row["snr_1_db"]) == recipes.snr[75, 0]  # as written, so as rendered


@pytest.mark.parametrize("taps", [1, 200, 512])
def test_spatialise_is_convolution(taps):
    rng = np.random.default_rng(taps)
    x, h = rng.standard_normal(3000), rng.standard_normal((2, taps))
    ears = spatialise(jnp.asarray(x, jnp.float32), jnp.asarray(h, jnp.float32))
    reference = np.stack([np.convolve(x, ear)[:3000] for ear in h])
    np.testing.assert_allclose(ears, reference, atol=1e-5 * abs(reference).max())


def test_mix_has_the_asked_snr_and_peak():
    rng = np.random.default_rng(0)
    target, noises = rng.standard_normal((2, 4000)), 7 * rng.standard_normal((2, 2, 4000))
    for snr in ([10.0, 200.0], [200.0, 25.0]):  # one noise at a time; the other is 200 dB down
        mixture = np.asarray(mix(*(jnp.asarray(a, jnp.float32) for a in (target, noises, np.array(snr)))))
        assert abs(mixture).max() == pytest.approx(1)
        # the target's share by projection, what is left is noise
        gain = (mixture * target).sum() / (target**2).sum()
        ratio = 10 * np.log10((gain * target).var() / (mixture - gain * target).var())
        # the scaled noise is divided by sqrt(2): 3 dB less than asked for (published)
        assert ratio == pytest.approx(min(snr) + 10 * np.log10(2), abs=0.2)


@pytest.mark.parametrize("samples", [1, 127, 128, 44_100])
def test_mean_power(samples):
    ears = np.random.default_rng(samples).standard_normal((5, 3, 2, samples)).astype(np.float32)
    np.testing.assert_allclose(
        mean_power(jnp.asarray(ears)), (ears.astype(float) ** 2).mean((-2, -1)), rtol=1e-6
    )


def test_silence_mixes_to_silence():
    zero = jnp.zeros((2, 100))
    assert not np.asarray(mix(zero, jnp.zeros((2, 2, 100)), jnp.array([15.0, 15.0]))).any()
    assert np.isfinite(np.asarray(mix(zero + 1, jnp.zeros((2, 2, 100)), jnp.array([15.0, 15.0])))).all()


def test_sixteen_bits(sounds, corpus, recipes):
    first = Recipes(*(f[:2] for f in recipes))
    exact, stored = (render(sounds, corpus.speech[first.clip], first, bits) for bits in (0, 16))
    steps = np.asarray(stored) * 2**15
    np.testing.assert_array_equal(steps, np.round(steps))
    np.testing.assert_allclose(stored, exact, atol=2 / 2**15)


def test_exported_wav_is_the_mixture(tmp_path, corpus, heads, sounds, recipes):
    export_wav(tmp_path, 3, CONFIG, FRONT, corpus, heads)
    files = sorted(tmp_path.glob("*.wav"))
    assert [f.name for f in files][2] == "mixture_00002_azimuth_010.wav"
    assert soundfile.info(files[2]).subtype == "PCM_16"
    written, fs = soundfile.read(files[2])
    assert fs == 44_100 and written.shape == (44_100, 2)
    # another batch size rounds differently: one step of 16 bits at most
    third = Recipes(*(f[2:3] for f in recipes))
    rendered = render(sounds, corpus.speech[third.clip], third)[0]
    np.testing.assert_allclose(written.T, rendered, atol=1.01 / 2**15)
    assert len((tmp_path / "manifest.csv").read_text().splitlines()) == 4


def test_store_holds_the_cues_of_the_mixtures(tmp_path, corpus, heads, sounds):
    shards = build(tmp_path, CONFIG, FRONT, corpus, heads).read()
    assert [s.shape for s in shards] == [(48, 3, 32, 100)] * 3 and shards[0].dtype == np.float16
    recipes = draw_recipes(CONFIG, 20, *corpus.noise.shape[:2])
    some = Recipes(*(f[[50, 143]] for f in recipes))
    direct = np.asarray(extract(render(sounds, corpus.speech[some.clip], some), FRONT), np.float32)
    stored = np.stack([shards[1][2], shards[2][47]]).astype(np.float32)
    # batches of another size round differently: lags may differ where two are all but equal
    assert (abs(direct[:, 0] - stored[:, 0]) < 1e-3).mean() > 0.995
    assert np.median(abs(direct - stored)) < 1e-3


def test_an_interrupted_store_is_completed_to_the_same_bytes(tmp_path, corpus, heads):
    whole = build(tmp_path / "a", CONFIG, FRONT, corpus, heads)
    store = build(tmp_path / "b", CONFIG, FRONT, corpus, heads)
    store.path(0).unlink()
    store.path(1).with_suffix(".sha256").unlink()  # killed between the two writes
    damaged = bytearray(store.path(2).read_bytes())
    damaged[5000] ^= 1
    store.path(2).write_bytes(damaged)
    with pytest.raises(InputError, match="cues-00000.npy"):
        store.read()
    build(tmp_path / "b", CONFIG, FRONT, corpus, heads)
    for shard in range(3):
        assert store.path(shard).read_bytes() == whole.path(shard).read_bytes()
    assert (tmp_path / "a/manifest.csv").read_bytes() == (tmp_path / "b/manifest.csv").read_bytes()


def test_a_process_with_other_recordings_than_the_first_is_refused(tmp_path, monkeypatch, corpus, heads):
    monkeypatch.setattr("ssl_jax.database.build.of_first", lambda digest: digest + 1)
    with pytest.raises(InputError, match="the recordings of this process are not those of the first"):
        build(tmp_path, CONFIG, FRONT, corpus, heads)
    assert not (tmp_path / "manifest.csv").exists()


def test_other_recordings_are_refused_and_a_damaged_manifest_is_written_again(tmp_path, corpus, heads):
    folder = tmp_path
    build(folder, CONFIG, FRONT, corpus, heads)
    manifest = folder / "manifest.csv"
    good = manifest.read_bytes()
    others = corpus._replace(speech_info=corpus.speech_info[::-1])
    with pytest.raises(InputError, match="manifest.csv: names other recordings than there are now"):
        build(folder, CONFIG, FRONT, others, heads)
    for bad in (b"", good[: len(good) // 2], b"\xff" + good):
        manifest.write_bytes(bad)
        build(folder, CONFIG, FRONT, corpus, heads)
        assert manifest.read_bytes() == good


def test_a_complete_store_is_left_alone(tmp_path, corpus, heads):
    store = build(tmp_path, CONFIG, FRONT, corpus, heads)
    before = [store.path(s).stat().st_mtime_ns for s in range(3)]
    silent = corpus._replace(speech=np.zeros(corpus.speech.shape, np.float32), noise=0 * corpus.noise)
    build(tmp_path, CONFIG, FRONT, silent, heads)
    assert [store.path(s).stat().st_mtime_ns for s in range(3)] == before
