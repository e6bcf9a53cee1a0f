"""Heads as measured, and with the mean spectrum of people."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import LEVEL_MAP
from ssl_jax.networks.packed import default_weights
from ssl_jax.networks.spectrum import FITTED_HZ
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.sounds.noises import load_noises
from ssl_jax.studies import equalisation
from ssl_jax.studies.equalisation import equalisation_section, equalised, levels_of, pink_noise
from ssl_jax.studies.places import measured_place
from ssl_jax.studies.unseen_heads import Network, heard_at
from ssl_jax.studies.voices import bundled_voices

FS = 44_100


@pytest.fixture(scope="module")
def network():
    return Network.load(default_weights())


@pytest.fixture(scope="module")
def kemar():
    """Every third direction, 15 degrees apart."""
    place = measured_place(KEMAR, FS)
    third = slice(None, None, 3)
    return replace(
        place,
        hrirs=place.hrirs[third],
        azimuth=place.azimuth[third],
        elevation=place.elevation[third],
    )


def with_echo(place, share=0.7, samples=20):
    """The place through a comb filter, whose peaks and dips are some dB."""
    padded = np.pad(place.hrirs, ((0, 0), (0, 0), (0, samples)))
    return replace(place, hrirs=padded + share * np.roll(padded, samples, axis=-1))


def test_pink_noise_is_as_loud_in_every_octave():
    power = np.abs(np.fft.rfft(pink_noise(FS))) ** 2
    frequencies = np.fft.rfftfreq(len(pink_noise(FS)), 1 / FS)
    octaves = [power[(frequencies >= f) & (frequencies < 2 * f)].sum() for f in (500, 1000, 4000)]
    # the lowest octave has 200 random powers: their mean's deviation is 7 %
    assert np.ptp(octaves) < 0.3 * np.mean(octaves)


def test_equalised_a_filter_is_not_heard(network, kemar):
    """What the network hears through a filter is what it hears without, up to 7.5 kHz."""
    filtered = with_echo(kemar)
    # (72, channels): as if the people were this KEMAR
    people = np.repeat(levels_of(kemar.hrirs, network), 3, axis=0)
    as_measured = levels_of(filtered.hrirs, network) - levels_of(kemar.hrirs, network)
    corrected = equalised(network, filtered, people)
    left = levels_of(filtered.hrirs, corrected) - levels_of(kemar.hrirs, network)
    fitted = network.front.cfs <= FITTED_HZ
    # a gain that is one for all channels is none
    about_mean = left[:, fitted] - left[:, fitted].mean(axis=1, keepdims=True)
    assert np.ptp(as_measured[:, fitted].mean(axis=0)) > 4
    # maps are float16; a comb within one channel is not the same from every direction
    assert np.abs(about_mean.mean(axis=0)).max() < 0.1
    assert np.sqrt(np.mean(about_mean**2)) < 0.5


def test_only_levels_are_equalised(network, kemar):
    people = np.repeat(levels_of(kemar.hrirs, network), 3, axis=0)
    corrected = equalised(network, with_echo(kemar), people)
    ears = np.random.default_rng(0).standard_normal((1, 2, 4410)).astype(np.float32)
    plain, changed = np.asarray(network.cues(ears)), np.asarray(corrected.cues(ears))
    others = [number for number in range(plain.shape[1]) if number != LEVEL_MAP]
    np.testing.assert_array_equal(plain[:, others], changed[:, others])
    assert not np.array_equal(plain[:, LEVEL_MAP], changed[:, LEVEL_MAP])
    above = network.front.cfs > FITTED_HZ
    np.testing.assert_array_equal(plain[:, LEVEL_MAP, above], changed[:, LEVEL_MAP, above])


def table_of(sections):
    """The cells of the table that a page would have, without its heading."""
    lines = sections[1].splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in lines if line]


def test_every_head_has_a_row_for_each_prior(network, kemar, monkeypatch):
    people = np.repeat(levels_of(kemar.hrirs, network), 3, axis=0)
    monkeypatch.setattr(equalisation, "levels_of_people", lambda _: people)
    voices = bundled_voices(1, FS)[:, 0]
    noises = load_noises(None, (), FS)
    as_measured = [heard_at(kemar, voices, noises, [network])]
    rows = table_of(equalisation_section([kemar], as_measured, voices, noises, network))
    assert [row[:2] for row in rows] == [[kemar.name, "frontal"], [kemar.name, "uniform"]]
    for row in rows:
        in_front, equalised_in_front, around, equalised_around = row[2:]
        # this head's own spectrum changes nothing; chance: 7 %
        assert in_front == equalised_in_front and around == equalised_around
        assert float(around.rstrip(" %")) > 80


def test_rooms_few_directions_and_networks_without_levels_have_no_section(network, kemar):
    room = with_echo(kemar, samples=FS // 20)
    few = replace(
        kemar, hrirs=kemar.hrirs[:4], azimuth=kemar.azimuth[:4], elevation=kemar.elevation[:4]
    )
    without_levels = replace(network, front=replace(network.front, levels=False))
    for place, listener in ((room, network), (few, network), (kemar, without_levels)):
        assert equalisation_section([place], [{}], np.zeros((1, FS)), None, listener) == []
