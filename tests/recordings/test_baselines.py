"""Azimuths without a network: delays and directions that are known come out again."""

import numpy as np
import pytest

from ssl_jax.metrics import degrees_apart
from ssl_jax.recordings.baselines import (
    cue_templates,
    gcc_phat_azimuth,
    gcc_phat_delay,
    head_delays,
    itd_ild_azimuth,
    sphere_delays,
    template_distances,
)
from ssl_jax.recordings.scene import render_scene
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.sounds.sofa import read_sofa
from support.runs import refuses

FS = 16_000
NOISE = np.random.default_rng(0).standard_normal(FS // 2)
# of a sample: what a parabola misses of the tip of the peak
DELAY_TOLERANCE = 0.05
# degrees: half a step of the head's delays
AZIMUTH_TOLERANCE = 2.5


@pytest.fixture(scope="module")
def kemar():
    return read_sofa(KEMAR, FS)


@pytest.fixture(scope="module")
def templates():
    return cue_templates(FS)


def delayed(samples):
    """Noise that the right ear hears `samples` after the left one, by a turn of phases."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(NOISE)) * samples)
    right = np.fft.irfft(np.fft.rfft(NOISE) * turn, len(NOISE))
    return np.stack([NOISE, right], axis=-1)


def scene(azimuth, kemar, source=NOISE):
    return render_scene(source, FS, azimuth, head=kemar).ears


# ---- GCC-PHAT


@pytest.mark.parametrize("samples", [0, 1, 7.3, -4.75, 15.5])
def test_a_delay_is_known_to_a_fraction_of_a_sample(samples):
    lag = FS * gcc_phat_delay(delayed(samples), FS)
    assert lag == pytest.approx(samples, abs=DELAY_TOLERANCE)


def test_a_delay_longer_than_a_head_is_not_looked_for():
    """The whole correlation peaks at 40 samples, 2.5 ms."""
    assert abs(gcc_phat_delay(delayed(40), FS)) <= 0.001


def test_a_sound_shorter_than_the_longest_delay_has_one():
    click = np.zeros((5, 2))
    click[1, 0] = click[4, 1] = 1
    assert FS * gcc_phat_delay(click, FS) == pytest.approx(3, abs=DELAY_TOLERANCE)


def test_levels_between_the_ears_do_not_change_a_delay():
    ears = delayed(7.3)
    assert gcc_phat_delay(ears * [1, 0.01], FS) == pytest.approx(gcc_phat_delay(ears, FS))


def test_swapped_ears_negate_delay_and_azimuth(kemar):
    ears = scene(40, kemar)
    swapped = ears[:, ::-1]
    assert gcc_phat_delay(swapped, FS) == pytest.approx(-gcc_phat_delay(ears, FS))
    azimuths = gcc_phat_azimuth(np.stack([ears, swapped]), FS, kemar)
    assert azimuths.sum() == pytest.approx(360)


@pytest.mark.parametrize("azimuth", [0, 40, 70, 320])
def test_a_scene_comes_from_where_it_was_rendered(azimuth, kemar):
    estimate = gcc_phat_azimuth(scene(azimuth, kemar), FS, kemar)
    assert 0 <= estimate < 360
    assert degrees_apart(estimate, azimuth) < AZIMUTH_TOLERANCE


def test_what_is_behind_comes_out_in_front(kemar):
    assert gcc_phat_azimuth(scene(140, kemar), FS, kemar) == pytest.approx(40, abs=10)


@pytest.mark.parametrize("azimuth", [0, 30, 62.5, 90, -45])
def test_without_a_head_there_is_a_sphere(azimuth):
    ears = delayed(FS * sphere_delays(azimuth))
    assert degrees_apart(gcc_phat_azimuth(ears, FS), azimuth) < AZIMUTH_TOLERANCE


def test_delays_of_a_sphere_by_hand():
    """87.5 mm / 343 m/s times pi / 2 + 1 at the side."""
    assert sphere_delays(90) == pytest.approx(656e-6, abs=1e-6)
    assert sphere_delays(-90) == -sphere_delays(90)


def test_delays_of_a_head_rise_with_azimuth(kemar):
    delays = head_delays(kemar)
    assert (np.diff(delays) >= 0).all()
    assert delays[0] < -0.6e-3 and delays[-1] > 0.6e-3


def test_many_sounds_at_once(kemar):
    sounds = np.stack([[scene(azimuth, kemar) for azimuth in (320, 0, 40)]])
    azimuths = gcc_phat_azimuth(sounds, FS, kemar)
    assert azimuths.shape == (1, 3)
    assert azimuths[0, 2] == gcc_phat_azimuth(sounds[0, 2], FS, kemar)


def test_sounds_without_a_delay_are_refused():
    refuses("an ear is silent", gcc_phat_delay, delayed(3) * [1, 0], FS)
    refuses("fs 1000: out of range", gcc_phat_delay, delayed(3), 1000)
    with pytest.raises(ValueError, match="NaN"):
        gcc_phat_delay(delayed(3) * np.nan, FS)
    with pytest.raises(ValueError, match="transpose"):
        gcc_phat_azimuth(delayed(3).T, FS)


# ---- cues looked up


@pytest.mark.parametrize("azimuth", [20, 40, 140, 165, 265])
def test_noise_is_looked_up_on_the_same_head(azimuth, kemar, templates):
    other_noise = np.random.default_rng(1).standard_normal(FS // 2)
    assert itd_ild_azimuth(scene(azimuth, kemar, other_noise), FS, templates) == azimuth


def test_swapped_ears_are_looked_up_on_the_other_side(kemar, templates):
    assert itd_ild_azimuth(scene(40, kemar)[:, ::-1], FS, templates) == 320


def test_many_sounds_are_looked_up_at_once(kemar, templates):
    sounds = np.stack([scene(azimuth, kemar) for azimuth in (320, 40)])
    assert template_distances(sounds, templates).shape == (2, 72)
    assert itd_ild_azimuth(sounds, FS, templates).tolist() == [320, 40]


def test_an_incoherent_half_counts_little(kemar, templates):
    """Noise of its own at each ear after the scene: the scene's azimuth stays."""
    own = np.random.default_rng(2).standard_normal((FS // 2, 2))
    ears = np.concatenate([scene(40, kemar), own / np.abs(own).max()])
    assert itd_ild_azimuth(ears, FS, templates) == 40


def test_templates_of_another_rate_are_refused(kemar, templates):
    refuses("templates of 16000 Hz, not 44100", itd_ild_azimuth, delayed(3), 44_100, templates)
    refuses("of 16000 Hz, not 44100: read it with", cue_templates, 44_100, kemar)
    for fs in (np.inf, np.nan, 1e6, "44100"):
        refuses("fs: its rate is", itd_ild_azimuth, delayed(3), fs)
    refuses("an ear is silent", itd_ild_azimuth, np.zeros((FS, 2)), FS, templates)
