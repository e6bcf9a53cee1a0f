"""Recipes of mixtures, what is kept apart between training and evaluation, and the manifest."""

import csv
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_jax.config import AZIMUTHS, EVALUATION, Database
from ssl_jax.database.draws import draw, pick_pair
from ssl_jax.database.manifest import manifest_csv, read_manifest
from ssl_jax.database.parts import part_of_mixtures, two_parts
from ssl_jax.database.recipes import Choices, draw_recipes, recipes_of
from ssl_jax.sounds.hrtf import Heads
from ssl_jax.sounds.noises import Noises
from ssl_jax.sounds.sources import Sounds
from ssl_jax.sounds.speech import SpeechClip, load_speech
from ssl_jax.sounds.targets import OtherClip, load_targets, voices_for
from support.runs import refuses

SPEAKERS = [f"s{k // 4}" for k in range(40)]  # ten speakers, four clips each
CLEAN = Database(clips=40, disjoint=("speaker", "noise", "head"))
SHARE_TOLERANCE = 0.03  # of the fifth held out: a speaker is a tenth of the clips, and not divided


NOISES = Choices(heads=20, noise_files=[20] * 10)


def drawn(config):
    """Recipes, and which mixtures are for evaluation (None: nothing is kept apart)."""
    part = part_of_mixtures(config, SPEAKERS)
    return draw_recipes(config, NOISES, part), None if part is None else part == EVALUATION


@pytest.fixture(scope="module")
def thirty():
    return draw_recipes(Database(clips=30), NOISES)


def test_recipes_cover_all_clips_and_azimuths_and_are_uniform_within_their_bounds(thirty):
    pairs = set(zip(thirty.clip.tolist(), thirty.azimuth.tolist(), strict=True))
    assert len(pairs) == len(thirty.clip) == 30 * 72
    for values, top in ((thirty.head, 19), (thirty.noise_kind, 9)):
        assert values.min() == 0 and values.max() == top
    for pair, top in ((thirty.noise_file, 19), (thirty.noise_azimuth, 71)):
        assert (pair[:, 0] != pair[:, 1]).all() and pair.min() == 0 and pair.max() == top
    assert 15 <= thirty.snr.min() < 15.5 and 39.5 < thirty.snr.max() <= 40
    # uniform: chi-squared over heads, files and azimuths; far tails only would fail
    pairs = (thirty.head, 20), (thirty.noise_file[:, 1], 20), (thirty.noise_azimuth[:, 0], 72)
    for values, choices in pairs:
        counts, expected = np.bincount(values, minlength=choices), len(values) / choices
        assert ((counts - expected) ** 2 / expected).sum() < choices + 5 * np.sqrt(2 * choices)


def test_a_recipe_depends_on_its_own_number_alone(thirty):
    fewer = draw_recipes(Database(clips=3), NOISES)
    for field in fields(fewer):
        some = getattr(fewer, field.name)
        np.testing.assert_array_equal(some, getattr(thirty, field.name)[: len(some)])


def test_another_seed_draws_other_recipes(thirty):
    assert (draw_recipes(Database(clips=30, seed=1), NOISES).snr != thirty.snr).all()


def test_a_mixture_keeps_its_draws_when_parts_are_kept_apart(thirty):
    apart, _ = drawn(replace(CLEAN, clips=30, disjoint=("noise",)))
    np.testing.assert_array_equal(apart.snr, thirty.snr)


def test_draws_are_eight_numbers_of_a_generator_seeded_by_run_and_mixture():
    draws = draw(Database(seed=5), count=3)
    numbers = np.random.default_rng((5, 2)).random(8)
    assert (draws.head[2], draws.noise_kind[2]) == tuple(numbers[:2])
    pairs = np.concatenate([draws.noise_file[2], draws.noise_azimuth[2], draws.snr[2]])
    np.testing.assert_array_equal(pairs, numbers[2:])


def test_a_pair_is_never_twice_the_same():
    uniform = np.random.default_rng(0).random((1000, 2))
    for choices in (2, 3, 72):
        pair = pick_pair(uniform, choices)
        assert (pair[:, 0] != pair[:, 1]).all() and set(pair.ravel()) == set(range(choices))


def test_kinds_with_fewer_clips_draw_from_those():
    recipes = draw_recipes(Database(clips=20), Choices(heads=2, noise_files=[2, 20]))
    assert recipes.noise_file[recipes.noise_kind == 0].max() == 1
    assert recipes.noise_file[recipes.noise_kind == 1].max() == 19


@pytest.mark.parametrize(
    "apart", ["clip", "speaker", "noise", "head", "noise head", "speaker noise head"]
)
@pytest.mark.parametrize("seed", [0, 7])
def test_nothing_kept_apart_is_shared_and_the_share_is_a_fifth(apart, seed):
    recipes, held_out = drawn(replace(CLEAN, disjoint=tuple(apart.split()), seed=seed))
    assert held_out.mean() == pytest.approx(0.2, abs=SHARE_TOLERANCE)
    values_of = {
        "clip": recipes.clip,
        "speaker": recipes.clip // 4,
        "noise": recipes.noise_kind[:, None] * 20 + recipes.noise_file,
        "head": recipes.head,
    }
    shared = {
        kind
        for kind, values in values_of.items()
        if np.intersect1d(values[held_out], values[~held_out]).size
    }
    assert shared == set(values_of) - set(apart.split()) - (
        {"clip"} if "speaker" in apart else set()
    )


def test_both_parts_use_all_they_may_and_nothing_else_changes():
    (clean, held_out), (plain, none) = drawn(CLEAN), drawn(replace(CLEAN, disjoint=()))
    assert none is None and (clean.noise_file[:, 0] != clean.noise_file[:, 1]).all()
    for part, count in ((held_out, 4), (~held_out, 16)):
        assert len(np.unique(clean.head[part])) == count
        for kind in range(10):
            assert len(np.unique(clean.noise_file[part & (clean.noise_kind == kind)])) == count
    for field in ("clip", "azimuth", "noise_kind", "noise_azimuth", "snr"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(clean, field))


def test_two_parts_share_nothing_and_neither_is_empty():
    for count in (2, 3, 20):
        train, evaluate = two_parts(count, 0.2, (0, 0, 1))
        assert sorted([*train, *evaluate]) == list(range(count)) and len(train) and len(evaluate)
    says = {
        "speaker": "all of one speaker",
        "clip": "one clip",
        "shoe": "shoe: cannot be kept apart",
    }
    for apart, message in says.items():
        config = Database(clips=1 if apart == "clip" else 4, disjoint=(apart,))
        refuses(message, part_of_mixtures, config, SPEAKERS)


def made_sounds(clips_of_kind: int = 20) -> Sounds:
    """Sounds by name alone."""
    speech = SimpleNamespace(
        clips=[SpeechClip(f"c{k}", SPEAKERS[k], "f", float(k)) for k in range(40)]
    )
    names = tuple(str(k) for k in range(clips_of_kind))
    noises = Noises(tuple("abcdefghij"), (names,) * 10, np.zeros((10, clips_of_kind, 1)))
    heads = Heads(tuple(f"h{k}" for k in range(20)), None, np.zeros((20, AZIMUTHS)))
    return Sounds(speech, noises, heads)


def test_kinds_too_small_to_be_kept_apart_are_named():
    refuses("kind of noise 'a': 5 clips are too few", recipes_of, CLEAN, made_sounds(5))
    recipes_of(CLEAN, made_sounds(8))  # a fifth of eight are two


def test_no_part_hears_a_recorded_target_of_another_as_noise(noises, heads):
    config = replace(CLEAN, clips=200, other_targets=True, validation_share=0.1)
    targets = load_targets(load_speech(None, voices_for(200), 44_100), noises, None, config)
    recipes, part = recipes_of(config, Sounds(targets, noises, heads))
    part_of_file = {}
    for mixture in range(len(part)):
        for file in recipes.noise_file[mixture]:
            part_of_file[recipes.noise_kind[mixture], file] = part[mixture]
    recorded = 0
    for number, clip in enumerate(targets.clips):
        if isinstance(clip, OtherClip) and clip.place is not None:
            place = clip.place.kind, clip.place.file
            assert part_of_file[place] == part[number * AZIMUTHS]
            recorded += 1
    assert recorded > 20


@pytest.fixture
def manifest(tmp_path):
    sounds = made_sounds()
    recipes, part = recipes_of(CLEAN, sounds)
    path = tmp_path / "manifest.csv"
    path.write_text(manifest_csv(recipes, sounds, part))
    return SimpleNamespace(path=path, recipes=recipes, part=part)


def test_the_manifest_names_what_is_rendered(manifest):
    rows = list(csv.DictReader(manifest.path.read_text().splitlines()))
    row = rows[75]  # second clip, azimuth class 3
    recipes = manifest.recipes
    assert (row["azimuth"], row["clip"], row["head"]) == ("15", "c1", f"h{recipes.head[75]}")
    assert (row["speech_file"], row["speech_start_s"]) == ("f", "1")
    assert row["noise_kind"] == "abcdefghij"[recipes.noise_kind[75]]
    assert row["noise_file_2"] == str(recipes.noise_file[75, 1])
    assert float(row["snr_1_db"]) == recipes.snr[75, 0]  # as written, so as rendered


def test_the_manifest_is_read_back(manifest):
    read = read_manifest(manifest.path, 40 * AZIMUTHS)
    np.testing.assert_array_equal(read.part, manifest.part)
    np.testing.assert_array_equal(read.snr, manifest.recipes.snr.min(axis=1))
    assert read.speaker[:: 4 * AZIMUTHS] == [f"s{k}" for k in range(10)]


@pytest.mark.parametrize(
    "fewer, change",
    [(1, ("", "")), (0, ("training", "trainig")), (0, ("\n5,", "\nx,"))],
)
def test_another_manifest_is_refused(manifest, fewer, change):
    manifest.path.write_text(manifest.path.read_text().replace(*change))
    says = "manifest.csv: is not the manifest of these"
    refuses(says, read_manifest, manifest.path, 40 * AZIMUTHS - fewer)
