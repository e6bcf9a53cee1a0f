"""Recipes of mixtures, what is kept apart between training and evaluation, and the manifest."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTHS, Database
from ssl_jax.database.recipes import (
    draw_held_out,
    draw_recipes,
    manifest_csv,
    read_manifest,
    recipes_of,
    two_parts,
)
from ssl_jax.sounds.corpora import Corpus, SpeechClip
from ssl_jax.sounds.hrtf import Heads

SPEAKERS = [f"s{k // 4}" for k in range(40)]  # ten speakers, four clips each
CLEAN = Database(clips=40, disjoint=("speaker", "noise", "head"))


def drawn(config):
    held_out = draw_held_out(config, SPEAKERS)
    return draw_recipes(config, 20, 10, 20, held_out), held_out


@pytest.mark.parametrize(
    "apart", [("clip",), ("speaker",), ("noise",), ("head",), ("noise", "head"), ("speaker", "noise", "head")]
)
@pytest.mark.parametrize("seed", [0, 7])
def test_nothing_kept_apart_is_shared_and_the_share_is_a_fifth(apart, seed):
    recipes, held_out = drawn(replace(CLEAN, disjoint=apart, seed=seed))
    assert held_out.mean() == pytest.approx(0.2, abs=0.03)
    noises = recipes.noise_class[:, None] * 20 + recipes.noise_file
    of = {"clip": recipes.clip, "speaker": recipes.clip // 4, "noise": noises, "head": recipes.head}
    shared = {kind for kind, values in of.items() if np.intersect1d(values[held_out], values[~held_out]).size}
    assert not shared & set(apart)
    assert shared == set(of) - set(apart) - ({"clip"} if "speaker" in apart else set())


def test_both_parts_use_all_they_may():
    recipes, held_out = drawn(CLEAN)
    assert len(np.unique(recipes.head[held_out])) == 4 and len(np.unique(recipes.head[~held_out])) == 16
    for kind in range(10):
        files = recipes.noise_file[recipes.noise_class == kind]
        inside = held_out[recipes.noise_class == kind]
        assert len(np.unique(files[inside])) == 4 and len(np.unique(files[~inside])) == 16
    assert (recipes.noise_file[:, 0] != recipes.noise_file[:, 1]).all()


def test_what_is_kept_apart_changes_nothing_else():
    plain, none = drawn(replace(CLEAN, disjoint=()))
    clean, _ = drawn(CLEAN)
    assert none is None
    for field in ("clip", "azimuth", "noise_class", "noise_azimuth", "snr"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(clean, field))


def test_recipes_of_less_are_the_first_of_more():
    (few, _), (many, _) = (drawn(replace(CLEAN, clips=clips, disjoint=("noise",))) for clips in (2, 40))
    np.testing.assert_array_equal(few.snr, many.snr[: 2 * AZIMUTHS])


def test_two_parts_share_nothing_and_neither_is_empty():
    for count in (2, 3, 20):
        train, evaluate = two_parts(count, 0.2, (0, 0, 1))
        assert sorted([*train, *evaluate]) == list(range(count)) and len(train) and len(evaluate)


@pytest.mark.parametrize(
    "config, message",
    [
        (Database(clips=4, disjoint=("speaker",)), "all of one speaker"),
        (Database(clips=1, disjoint=("clip",)), "one clip"),
        (Database(clips=4, disjoint=("shoe",)), "shoe: cannot be kept apart"),
    ],
)
def test_what_cannot_be_kept_apart_is_refused(config, message):
    with pytest.raises(InputError, match=message):
        draw_held_out(config, SPEAKERS)


@pytest.fixture
def written(tmp_path):
    corpus = Corpus(
        "x",
        None,
        [SpeechClip(f"c{k}", SPEAKERS[k], "f", 0.0) for k in range(40)],
        np.zeros((10, 20, 1)),
        tuple("abcdefghij"),
        [[f"{k}" for k in range(20)]] * 10,
    )
    heads = Heads(tuple(f"h{k}" for k in range(20)), None, np.zeros((20, AZIMUTHS)), 44_100)
    recipes, held_out = recipes_of(CLEAN, corpus, heads)
    path = tmp_path / "manifest.csv"
    path.write_text("".join(manifest_csv(recipes, corpus, heads, held_out)))
    return path, recipes, held_out


def test_the_manifest_is_read_back(written):
    path, recipes, held_out = written
    manifest = read_manifest(path, 40 * AZIMUTHS)
    np.testing.assert_array_equal(manifest.held_out, held_out)
    np.testing.assert_array_equal(manifest.snr, recipes.snr.min(axis=1))
    assert manifest.speaker[:: 4 * AZIMUTHS] == [f"s{k}" for k in range(10)]


def test_another_manifest_is_refused_by_name(written):
    path, _, _ = written
    for count, change in (
        (40 * AZIMUTHS - 1, ""),
        (40 * AZIMUTHS, ("training", "trainig")),
        (40 * AZIMUTHS, ("\n5,", "\nx,")),
    ):
        text = path.read_text()
        if change:
            path.write_text(text.replace(*change))
        with pytest.raises(InputError, match="manifest.csv: is not the manifest of these"):
            read_manifest(path, count)
        path.write_text(text)
