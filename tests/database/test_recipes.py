"""Recipes of mixtures, what is kept apart between training and evaluation, and the manifest."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import AZIMUTHS, Database
from ssl_jax.database import recipes
from ssl_jax.sounds.corpora import Corpus, SpeechClip
from ssl_jax.sounds.hrtf import Heads
from support.runs import refuses

SPEAKERS = [f"s{k // 4}" for k in range(40)]  # ten speakers, four clips each
CLEAN = Database(clips=40, disjoint=("speaker", "noise", "head"))
SHARE_TOLERANCE = 0.03  # of the fifth held out: a speaker is a tenth of the clips, and not divided


def drawn(config):
    part = recipes.draw_parts(config, SPEAKERS)
    return recipes.draw_recipes(config, 20, 10, 20, part), None if part is None else part == 1


@pytest.fixture(scope="module")
def thirty():
    return recipes.draw_recipes(Database(clips=30), heads=20, noise_classes=10, noise_files=20)


def test_recipes_cover_all_clips_and_azimuths_and_are_uniform_within_their_bounds(thirty):
    pairs = set(zip(thirty.clip.tolist(), thirty.azimuth.tolist(), strict=True))
    assert len(pairs) == len(thirty.clip) == 30 * 72
    for values, top in ((thirty.head, 19), (thirty.noise_class, 9)):
        assert values.min() == 0 and values.max() == top
    for pair, top in ((thirty.noise_file, 19), (thirty.noise_azimuth, 71)):
        assert (pair[:, 0] != pair[:, 1]).all() and pair.min() == 0 and pair.max() == top
    assert 15 <= thirty.snr.min() < 15.5 and 39.5 < thirty.snr.max() <= 40
    # uniform: chi-squared over heads, files and azimuths; far tails only would fail
    pairs = (thirty.head, 20), (thirty.noise_file[:, 1], 20), (thirty.noise_azimuth[:, 0], 72)
    for values, choices in pairs:
        counts, expected = np.bincount(values, minlength=choices), len(values) / choices
        assert ((counts - expected) ** 2 / expected).sum() < choices + 5 * np.sqrt(2 * choices)


def test_a_recipe_depends_on_seed_and_its_own_index_alone(thirty):
    fewer, other = (
        recipes.draw_recipes(Database(clips=3, seed=seed), 20, 10, 20) for seed in (0, 1)
    )
    for some, more in zip(fewer, thirty, strict=True):
        np.testing.assert_array_equal(some, more[: len(some)])
    assert (fewer.snr != other.snr).all()
    (few, _), (many, _) = (
        drawn(replace(CLEAN, clips=clips, disjoint=("noise",))) for clips in (2, 40)
    )
    np.testing.assert_array_equal(few.snr, many.snr[: 2 * AZIMUTHS])


@pytest.mark.parametrize(
    "apart", ["clip", "speaker", "noise", "head", "noise head", "speaker noise head"]
)
@pytest.mark.parametrize("seed", [0, 7])
def test_nothing_kept_apart_is_shared_and_the_share_is_a_fifth(apart, seed):
    found, held_out = drawn(replace(CLEAN, disjoint=tuple(apart.split()), seed=seed))
    assert held_out.mean() == pytest.approx(0.2, abs=SHARE_TOLERANCE)
    noises = found.noise_class[:, None] * 20 + found.noise_file
    of = {"clip": found.clip, "speaker": found.clip // 4, "noise": noises, "head": found.head}
    shared = {
        kind
        for kind, values in of.items()
        if np.intersect1d(values[held_out], values[~held_out]).size
    }
    assert shared == set(of) - set(apart.split()) - ({"clip"} if "speaker" in apart else set())


def test_both_parts_use_all_they_may_and_nothing_else_changes():
    (clean, held_out), (plain, none) = drawn(CLEAN), drawn(replace(CLEAN, disjoint=()))
    assert none is None and (clean.noise_file[:, 0] != clean.noise_file[:, 1]).all()
    for part, count in ((held_out, 4), (~held_out, 16)):
        assert len(np.unique(clean.head[part])) == count
        for kind in range(10):
            assert len(np.unique(clean.noise_file[part & (clean.noise_class == kind)])) == count
    for field in ("clip", "azimuth", "noise_class", "noise_azimuth", "snr"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(clean, field))


def test_two_parts_share_nothing_and_neither_is_empty():
    for count in (2, 3, 20):
        train, evaluate = recipes.two_parts(count, 0.2, (0, 0, 1))
        assert sorted([*train, *evaluate]) == list(range(count)) and len(train) and len(evaluate)
    says = {
        "speaker": "all of one speaker",
        "clip": "one clip",
        "shoe": "shoe: cannot be kept apart",
    }
    for apart, message in says.items():
        config = Database(clips=1 if apart == "clip" else 4, disjoint=(apart,))
        refuses(message, recipes.draw_parts, config, SPEAKERS)


def test_the_manifest_names_what_is_rendered_is_read_back_and_no_other_taken(tmp_path):
    clips = [SpeechClip(f"c{k}", SPEAKERS[k], "f", 0.0) for k in range(40)]
    files = [[str(k) for k in range(20)]] * 10
    corpus = Corpus(None, clips, np.zeros((10, 20, 1)), tuple("abcdefghij"), files)
    heads = Heads(tuple(f"h{k}" for k in range(20)), None, np.zeros((20, AZIMUTHS)))
    found, part = recipes.recipes_of(CLEAN, recipes.Sounds(corpus, heads))
    path, count = tmp_path / "manifest.csv", 40 * AZIMUTHS
    path.write_text(recipes.manifest_csv(found, recipes.Sounds(corpus, heads), part))
    row = list(csv.DictReader(path.read_text().splitlines()))[75]  # second clip, azimuth class 3
    assert (row["azimuth"], row["clip"], row["head"]) == ("15", "c1", f"h{found.head[75]}")
    assert row["noise_class"] == "abcdefghij"[found.noise_class[75]]
    assert row["noise_file_2"] == str(found.noise_file[75, 1])
    assert float(row["snr_1_db"]) == found.snr[75, 0]  # as written, so as rendered
    manifest, text = recipes.read_manifest(path, count), path.read_text()
    np.testing.assert_array_equal(manifest.part, part)
    np.testing.assert_array_equal(manifest.snr, found.snr.min(axis=1))
    assert manifest.speaker[:: 4 * AZIMUTHS] == [f"s{k}" for k in range(10)]
    for fewer, change in ((1, ("", "")), (0, ("training", "trainig")), (0, ("\n5,", "\nx,"))):
        path.write_text(text.replace(*change))
        refuses(
            "manifest.csv: is not the manifest of these", recipes.read_manifest, path, count - fewer
        )
