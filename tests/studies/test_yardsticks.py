"""The network for recordings on a head, with two talkers, and on the evaluation part of rooms."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ssl_jax.config import EVALUATION, TRAINING, SoundFolders
from ssl_jax.database.build import build
from ssl_jax.database.manifest import Manifest
from ssl_jax.experiments import Options, experiment
from ssl_jax.networks.packed import default_weights
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.sounds.sources import load_sounds
from ssl_jax.studies import equalisation, yardsticks
from ssl_jax.studies.front_scores import PRIORS
from ssl_jax.studies.places import measured_place
from ssl_jax.studies.unseen_heads import Network
from ssl_jax.studies.voices import bundled_voices
from support.runs import refused

FS = 44_100


def test_conditions_are_read_off_the_manifest():
    heads = ["cipic_003-1.000-free", "ku100-0.950-t60_0.30-drr_3", "ku100-1.000-free"]
    manifest = Manifest(None, np.array([20.0, 0.0, 4.0]), [], heads)
    masks = yardsticks.evaluated_conditions(manifest, np.arange(3))
    shown = {what: np.flatnonzero(mask).tolist() for what, mask in masks.items()}
    assert shown["rooms"] == [1] and shown["free field"] == [0, 2]
    assert shown["free field, 15 to 40 dB"] == [0]
    assert shown["free field, -5 to 5 dB"] == [2] and shown["rooms, -5 to 5 dB"] == [1]


def test_heads_of_the_training_part_are_known_by_their_names():
    kemar = measured_place(KEMAR, FS)
    places = [replace(kemar, name=name) for name in ("KEMAR_large", "KU100_FHK", "IRC1008")]
    assert yardsticks.heard_in_training(places, None) == ["KEMAR_large"]
    heads = ["ku100-0.950-t60_0.30-drr_-3", "irc10-1.000-free"]
    part = np.array([TRAINING, EVALUATION])
    manifest = Manifest(part, np.zeros(2), [], heads)
    assert yardsticks.heard_in_training(places, manifest) == ["KEMAR_large", "KU100_FHK"]


def test_talkers_stand_apart_and_are_equally_loud():
    place = measured_place(KEMAR, FS)
    rng = np.random.default_rng(1)
    first, second = yardsticks.two_directions(place, rng)
    apart = abs(place.azimuth[first] - place.azimuth[second])
    assert min(apart, 360 - apart) >= yardsticks.LEAST_APART
    voices = rng.standard_normal((2, 2, FS)).astype(np.float32) * [[[1.0]], [[0.01]]]
    ears = yardsticks.ears_of_two(place, [first, second], voices)
    assert ears.shape == (2 * FS, 2)
    # independent noises: their powers add up
    assert np.mean(ears**2) == pytest.approx(2 * yardsticks.LEVEL**2, rel=0.05)


def test_a_folder_without_heads_is_refused(call, tmp_path):
    refused(call("yardsticks", tmp_path), "no .sofa files")


def every_second_direction(path, fs):
    """A place as it is measured, in steps of 10 degrees."""
    place = measured_place(path, fs)
    return replace(
        place,
        hrirs=place.hrirs[::2],
        azimuth=place.azimuth[::2],
        elevation=place.elevation[::2],
    )


def test_a_head_and_two_talkers_are_scored(call, tmp_path, monkeypatch):
    monkeypatch.setattr(yardsticks, "SCENES", 2)
    monkeypatch.setattr(yardsticks, "measured_place", every_second_direction)
    monkeypatch.setattr(equalisation, "head_files", lambda _: [])
    (tmp_path / "places").mkdir()
    shutil.copy(KEMAR, tmp_path / "places")
    ended = call("yardsticks", "places", "--clips=1")
    assert ended.status == 0 and not (tmp_path / "results").exists()
    rows = [line.strip("| ").split(" | ") for line in ended.out.splitlines()]
    assert f"Training heard {KEMAR.stem} (and maybe more" in ended.out
    of_head = [row for row in rows if row[0] == f"`{default_weights()}`"]
    assert [row[1] for row in of_head] == [KEMAR.stem, KEMAR.stem]
    first = [row[:4] for row in rows if row[0] in ("voices, heads", "wide-band, heads")]
    assert first[:2] == [
        ["voices, heads", "straight ahead", prior, "1"] for prior in ("frontal", "uniform")
    ]
    assert [row[3] for row in first] == 2 * ["1", "1", "5", "5", "36", "36"]
    of_place = [row[:3] for row in rows if row[0] in ("all", KEMAR.stem)]
    beside = [row for row in of_place if row[1] not in PRIORS]
    assert beside == [
        [name, noise, "19"] for name in ("all", KEMAR.stem) for noise in ("none", "0 to 20 dB")
    ]
    equalised = [row[:2] for row in of_place if row[1] in PRIORS]
    assert equalised == [[KEMAR.stem, "frontal"], [KEMAR.stem, "uniform"]]
    assert "2 scenes on MIT_KEMAR_normal_pinna: both within 10°" in ended.out


def test_every_part_of_rooms_is_scored(tmp_path):
    (tmp_path / "voices").mkdir()
    for name, seconds in zip("abc", bundled_voices(3, FS, seconds=1), strict=True):
        soundfile.write(tmp_path / f"voices/{name}.wav", seconds.reshape(-1), FS)
    folders = SoundFolders(speech=tmp_path / "voices")
    usual = experiment(Options(protocol="rooms", folders=folders))
    ex = replace(usual, database=replace(usual.database, clips=5, shard=72, rooms=30))
    sounds = load_sounds(ex.folders, ex.database, ex.front.fs)
    build(tmp_path, ex.database, ex.front, sounds)
    name = default_weights()
    manifest = yardsticks.manifest_of_training(Network.load(name), tmp_path, ex)
    rows = yardsticks.evaluation_rows(name, tmp_path, ex, manifest)
    within = {row[1]: float(row[5].rstrip(" %")) for row in rows if row[5] != "-"}
    assert len(rows) == 7
    # within 10 degrees; chance: 7
    assert within["evaluation part, free field"] > 40 and within["evaluation part, rooms"] > 40


@pytest.mark.parametrize("name, protocol", [("freefield", "rooms"), ("baseline", "published")])
def test_a_store_that_the_network_cannot_hear_is_left_out(tmp_path, capsys, name, protocol):
    (tmp_path / "manifest.csv").write_text("")
    ex = experiment(Options(protocol=protocol))
    assert yardsticks.manifest_of_training(Network.load(name), tmp_path, ex) is None
    assert f"not what {name} was trained on" in capsys.readouterr().err
