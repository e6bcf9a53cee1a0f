import csv
import io
import shutil
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ssl_jax.config import Database, FrontEnd
from ssl_jax.corpora import Corpus
from ssl_jax.database import (
    CueStore, Sounds, build, check_settings, data_mesh, export_wav, extract, mix, render,
    render_and_extract, spatialise,
)
from ssl_jax.files import InputError, write_checksum
from ssl_jax.recipes import Recipes, draw_recipes, manifest_csv

FRONT = FrontEnd()
CONFIG = Database(clips=2, shard=48)  # 144 mixtures in three shards


@pytest.fixture(scope="module")
def recipes():
    return draw_recipes(Database(clips=30), heads=20, noise_classes=10, noise_files=20)


@pytest.fixture
def sounds(corpus, heads):
    return Sounds(*(jnp.asarray(s) for s in (corpus.speech, corpus.noise, heads.hrirs)))


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
    for values, choices in ((recipes.head, 20), (recipes.noise_file[:, 1], 20), (recipes.noise_azimuth[:, 0], 72)):
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
    rows = list(csv.DictReader(io.StringIO(manifest_csv(first, corpus, heads))))
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


def test_silence_mixes_to_silence():
    zero = jnp.zeros((2, 100))
    assert not np.asarray(mix(zero, jnp.zeros((2, 2, 100)), jnp.array([15.0, 15.0]))).any()
    assert np.isfinite(np.asarray(mix(zero + 1, jnp.zeros((2, 2, 100)), jnp.array([15.0, 15.0])))).all()


def test_sixteen_bits(sounds, recipes):
    first = Recipes(*(f[:2] for f in recipes))
    exact, stored = render(sounds, first, bits=0), render(sounds, first)
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
    rendered = render(sounds, Recipes(*(f[2:3] for f in recipes)))[0]
    np.testing.assert_allclose(written.T, rendered, atol=1.01 / 2**15)
    assert len((tmp_path / "manifest.csv").read_text().splitlines()) == 4


def test_store_holds_the_cues_of_the_mixtures(tmp_path, corpus, heads, sounds):
    shards = build(tmp_path, CONFIG, FRONT, corpus, heads).read()
    assert [s.shape for s in shards] == [(48, 3, 32, 100)] * 3 and shards[0].dtype == np.float16
    recipes = draw_recipes(CONFIG, 20, *corpus.noise.shape[:2])
    some = Recipes(*(f[[50, 143]] for f in recipes))
    direct = np.asarray(extract(render(sounds, some), FRONT), np.float32)
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


DAMAGE = {
    "a bit in the middle": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "no checksum": lambda path: path.with_suffix(".sha256").unlink(),
    "a checksum of garbage": lambda path: path.with_suffix(".sha256").write_bytes(b"\xff\xfe\x00"),
}


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.fixture(scope="module")
def made(tmp_path_factory, corpus, heads):
    """A folder with a whole store, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    build(folder, CONFIG, FRONT, corpus, heads)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return CueStore(tmp_path / "copy/cues", CONFIG, FRONT)


def test_a_damaged_shard_is_named_refused_and_made_again(copied, corpus, heads, capsys):
    """Every kind of damage, one after the other on the middle shard."""
    path, good = copied.path(1), copied.path(1).read_bytes()
    for damage in DAMAGE.values():
        damage(path)
        with pytest.raises(InputError, match="cues-00001.npy: missing or damaged: run the database stage again"):
            copied.read()
    capsys.readouterr()
    build(copied.folder.parent, CONFIG, FRONT, corpus, heads)
    assert "cues-00001.npy: damaged or not finished: made again" in capsys.readouterr().err
    assert path.read_bytes() == good and len(copied.read()) == 3


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damage_is_noticed(copied, damage):
    DAMAGE[damage](copied.path(1))
    assert [copied.whole(shard) for shard in range(3)] == [True, False, True]


@pytest.mark.parametrize("content", [
    np.zeros((48, 3, 32, 99), np.float16), np.zeros((48, 3, 32, 100), np.float32), b"x"])
def test_what_is_no_shard_is_refused_though_its_checksum_agrees(copied, content):
    if isinstance(content, bytes):
        copied.path(2).write_bytes(content)
        write_checksum(copied.path(2))
    else:
        copied.write(2, content)
    with pytest.raises(InputError, match="cues-00002.npy: is no shard of this store"):
        copied.read()


@pytest.mark.parametrize("part, change, says", [
    ("database", {"disjoint": ("speaker", "head")}, r"database.disjoint = \[\], now \['speaker', 'head'\]"),
    ("database", {"bits": 0}, "database.bits = 16, now 0"), ("database", {"seed": 1}, "database.seed = 0, now 1"),
    ("front", {"hair_cell": "none"}, "front.hair_cell = 'roman', now 'none'")])
def test_a_store_of_other_settings_is_not_trained_on(made, part, change, says):
    """Though its shards have the right shape."""
    config, front = (replace(c, **change) if part == p else c for p, c in (("database", CONFIG), ("front", FRONT)))
    with pytest.raises(InputError, match=f"store.json: was made with {says}: use another --name"):
        CueStore(made / "cues", config, front).read()


def test_shards_without_their_settings_are_refused(copied, corpus, heads):
    (copied.folder / "store.json").unlink()
    with pytest.raises(InputError, match="store.json: is missing, so nobody knows"):
        copied.read()
    with pytest.raises(InputError, match="store.json: is missing, so nobody knows"):
        build(copied.folder.parent, CONFIG, FRONT, corpus, heads)


def test_other_recordings_are_refused_and_a_damaged_manifest_is_written_again(copied, corpus, heads):
    folder = copied.folder.parent
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
    silent = Corpus(*(0 * f if isinstance(f, np.ndarray) else f for f in corpus))
    build(tmp_path, CONFIG, FRONT, silent, heads)
    assert [store.path(s).stat().st_mtime_ns for s in range(3)] == before


def test_another_configuration_is_refused_by_name(tmp_path, corpus, heads):
    CueStore(tmp_path / "cues", CONFIG, FRONT).open()
    with pytest.raises(InputError, match=r"store.json: was made with front.hair_cell = 'roman', now 'none'"):
        build(tmp_path, CONFIG, replace(FRONT, hair_cell="none"), corpus, heads)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"front": 3}'])
def test_damaged_settings_are_refused(tmp_path, text):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(InputError, match="store.json"):
        check_settings(tmp_path / "store.json", {"front": {"hop": 441}})


def test_one_program_for_any_number_of_devices(sounds, recipes):
    """As many devices as there are agree with one, but for float16's last digit."""
    mesh = data_mesh()
    batch = Recipes(*(f[: 2 * mesh.size] for f in recipes))
    many = render_and_extract(FRONT, mesh)(sounds, batch)
    one = render_and_extract(FRONT, data_mesh(1))(sounds, batch)
    assert many.shape == (2 * mesh.size, 3, 32, 100)
    assert np.median(abs(np.asarray(many, np.float32) - np.asarray(one, np.float32))) < 1e-3
