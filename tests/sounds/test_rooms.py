"""Rooms made of heads: decay, direct sound, reflections from their directions, nothing shared."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import AZIMUTHS
from ssl_jax.experiments import Options, experiment
from ssl_jax.sounds import rooms, shoebox
from ssl_jax.sounds.hrtf import KEMAR, select_directions
from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import write_sofa
from support.runs import refuses

FS = 44_100
HEAD = read_sofa(KEMAR, FS)
HALL = shoebox.Room(
    size=np.array([7.0, 5.0, 3.0]),
    place=np.array([3.0, 2.0, 1.5]),
    facing=30.0,
    distance=1.2,
    t60=0.6,
    drr=0.0,
    scale=1.0,
    narrow=False,
)


def test_a_room_has_the_ratio_and_the_decay_asked_for():
    heard = shoebox.room_responses(HEAD, HALL, FS, np.random.default_rng(3))
    early = heard.early
    tail = heard.tail
    direct = np.square(select_directions(HEAD, "horizontal")[0]).sum() / AZIMUTHS
    reflected = early.copy()
    reflected[..., :512] -= select_directions(HEAD, "horizontal")[0]
    energy = np.square(reflected).sum() / AZIMUTHS + np.square(tail).sum()
    assert 10 * np.log10(direct / energy) == pytest.approx(HALL.drr, abs=1)  # dB: a tail is noise
    low = np.fft.irfft(np.fft.rfft(tail) * (np.fft.rfftfreq(FS, 1 / FS) < 900), FS)
    level = 10 * np.log10(np.cumsum(np.square(low).sum(0)[::-1])[::-1])
    slope = np.polyfit(np.arange(4000, 15_000) / FS, level[4000:15_000], 1)[0]  # dB/s
    assert -60 / slope == pytest.approx(HALL.t60, rel=0.1)  # one draw of noise


def test_images_stand_where_mirrors_put_them_and_the_direct_sound_is_first():
    images = shoebox.image_sources(HALL, np.array([0.0, 90.0]))
    positions = images.positions
    amplitude = images.amplitudes
    np.testing.assert_allclose(positions[0], [[1.2, 0, 0], [0, 1.2, 0]], atol=1e-12)
    assert amplitude[0] == pytest.approx([1, 1]) and (amplitude[1:] < 1).all()
    floor = positions[(np.abs(positions[:, 0, :2] - [1.2, 0]) < 1e-9).all(-1), 0, 2]
    assert {-3.0, 3.0} <= set(floor.round(9))  # ears at 1.5 m: twice that below, and above
    echo = shoebox.early_reflections(HEAD, HALL, np.array([0.0]), 1764)[0]
    # floor and ceiling come first here
    after = (np.hypot(1.2, 3.0) - 1.2) / shoebox.SOUND_SPEED * FS
    onset = np.abs(echo).max(0)
    assert abs(int((onset > 0.1 * onset.max()).argmax()) - after) < 80  # a response's own delay


def test_a_tail_is_as_coherent_as_a_diffuse_field():
    """Alike at both ears below 200 Hz, unlike from 1.5 kHz on."""
    tail = shoebox.diffuse_tail(HEAD, replace(HALL, t60=3.0), FS, np.random.default_rng(0))
    spectra, frequency = np.fft.rfft(tail), np.fft.rfftfreq(FS, 1 / FS)

    def coherence(low, high):
        left, right = spectra[:, (frequency >= low) & (frequency < high)]
        return abs((left * right.conj()).sum()) / np.sqrt(
            (abs(left) ** 2).sum() * (abs(right) ** 2).sum()
        )

    assert coherence(80, 200) > 0.8 and coherence(1500, 6000) < 0.3


def test_parts_share_no_head_and_a_third_is_the_free_field():
    config = replace(experiment(Options(protocol="rooms")).database, rooms=30)
    halls = rooms.load_rooms(None, config, FS)
    heads = np.array([name.split("-")[0] for name in halls.names])
    training, evaluation, validation = (set(heads[halls.part == k]) for k in range(3))
    assert training and evaluation and validation
    assert not training & evaluation and not training & validation and not evaluation & validation
    assert {"MIT_KEMAR_normal_pinna", "kemar_large"}.isdisjoint(evaluation | validation)
    free = np.array(["-free" in name for name in halls.names])
    assert free.sum() == 10
    assert not halls.tails[free].any() and halls.tails[~free].any((1, 2)).all()
    again = rooms.load_rooms(None, replace(config, rooms=3), FS)
    np.testing.assert_array_equal(again.hrirs, halls.hrirs[:3])


def test_a_head_that_comes_with_the_package_too_is_refused(tmp_path):
    config = experiment(Options(protocol="rooms")).database
    for name in ("ku100", "somebody"):
        write_sofa(tmp_path / f"{name}.sofa")
    says = "ku100.sofa: a head ku100 is there already .*: take it out"
    refuses(says, rooms.load_rooms, tmp_path, config, FS)


def test_one_room_in_ten_has_a_manikin_where_there_are_people_too():
    kemar = replace(HEAD, name="kemar_large")
    people = [replace(HEAD, name=f"person_{number}") for number in range(20)]
    rng = np.random.default_rng(4)
    draws = 3000
    drawn = [rooms.choose_head(rng, [kemar, *people]).name for _ in range(draws)]
    deviation = np.sqrt(0.1 * 0.9 / draws)
    assert drawn.count("kemar_large") / draws == pytest.approx(0.1, abs=4 * deviation)
    assert set(drawn) == {"kemar_large", *(head.name for head in people)}
    assert rooms.choose_head(rng, [kemar]).name == "kemar_large"
    assert rooms.choose_head(rng, people[:1]).name == "person_0"
