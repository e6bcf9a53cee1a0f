"""Scenes through KEMAR: the maps that are drawn are the cues, and left is positive."""

import numpy as np
import pytest

from ssl_jax.config import FrontEnd
from ssl_jax.frontend.cue_plot import IC, ILD, ITD
from ssl_jax.report import scenes
from ssl_jax.report.scenes import SurroundCues, carry_voice, channel_medians, scene, surround
from ssl_jax.report.style import plt
from support.artists import check_filled, points_of

FRONT = FrontEnd(hop=882, hair_cell="none")
FRAMES = 8
MAPS = 6  # of the scene: three cues at two SNRs


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def carried(monkeypatch):
    """Cues that tell channel and frame; the last frame is a pause."""
    shape = (FRONT.channels, FRAMES)
    itd = np.linspace(-0.9, 0.9, FRONT.channels * FRAMES).reshape(shape)
    heard = np.ones(shape, bool)
    heard[:, -1] = False
    made = SurroundCues(itd, 15 * itd, heard, np.linspace(45, 360, FRAMES))
    monkeypatch.setattr(scenes, "carry_voice", lambda _: made)
    return made


def test_surround_draws_the_cues_and_masks_pauses(carried):
    figure = surround(FRONT)
    check_filled(figure)
    for axis, style, values in (
        (figure.axes[0], ITD, carried.itd),
        (figure.axes[2], ILD, carried.ild),
    ):
        (image,) = axis.images
        drawn = image.get_array()[::-1]  # the highest frequency is on top
        np.testing.assert_array_equal(drawn[:, :-1], values[:, :-1])
        assert np.ma.getmaskarray(drawn).sum() == FRONT.channels
        assert np.ma.getmaskarray(drawn)[:, -1].all()
        assert image.get_clim() == style.limits


def test_a_pause_has_another_colour_than_zero(carried):
    (image,) = surround(FRONT).axes[0].images
    pause, zero = image.cmap(np.ma.masked_invalid([np.nan, 0.5]))
    assert np.abs(pause - zero).max() > 0.1  # a visible step of grey


def test_surround_draws_the_medians_of_low_and_high_channels(carried):
    axis = surround(FRONT).axes[1]
    low = FRONT.cfs < 1500
    points = points_of(axis, "below 1.5 kHz")
    assert [azimuth for azimuth, _ in points] == carried.azimuth.tolist()
    medians = np.median(carried.itd[low], axis=0)
    assert [median for _, median in points][:-1] == medians[:-1].tolist()
    assert np.isnan(points[-1][1])
    kuhn = dict(points_of(axis, "Kuhn (1977), low frequencies"))
    assert kuhn[90] == pytest.approx(0.765, abs=5e-4) and kuhn[270] == -kuhn[90]


def test_surround_says_its_settings(carried):
    assert "hair cell none, ILD up to ±20 dB (±7 in" in surround(FRONT).get_suptitle()


def test_medians_need_a_third_of_the_channels():
    values = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [9.0, 9.0], [9.0, 9.0]])
    channels = np.array([True, True, True, True, False])
    heard = np.array([[True, True], [True, False], [True, False], [False, False], [True, True]])
    medians = channel_medians(values, heard, channels)
    assert medians[0] == 2 and np.isnan(medians[1])


def test_a_carried_voice_goes_round_to_the_left_first(monkeypatch):
    monkeypatch.setattr(scenes, "VOICE_S", 2)
    carried = carry_voice(scenes.picture_front(FRONT))
    assert carried.azimuth[-1] == pytest.approx(360, abs=1e-9)
    assert np.abs(carried.ild).max() > FRONT.max_ild  # no longer clipped there
    low = FRONT.cfs < 1500
    itd = channel_medians(carried.itd, carried.heard, low)
    left = (carried.azimuth > 30) & (carried.azimuth < 150)
    right = (carried.azimuth > 210) & (carried.azimuth < 330)
    assert np.nanmin(itd[left]) > 0 > np.nanmax(itd[right])


def test_scene_draws_three_cues_at_two_snrs():
    figure = scene(FRONT)
    check_filled(figure)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert len(panels) == MAPS
    for axis, style in zip(panels, 2 * (ITD, ILD, IC), strict=True):
        (image,) = axis.images
        assert axis.get_title().startswith(style.title) and image.get_clim() == style.limits
        assert image.get_array().shape == (FRONT.channels, FRONT.fs // FRONT.hop)
    # the voice is on the left, and clearer where there is less noise
    itd_of_noisy, ild_of_noisy, ic_of_noisy = (axis.images[0].get_array() for axis in panels[:3])
    itd, ild, ic = (axis.images[0].get_array() for axis in panels[3:])
    assert itd.mean() > itd_of_noisy.mean() and ild.mean() > ild_of_noisy.mean()
    assert ild.mean() > 0 and ic.mean() > ic_of_noisy.mean()
    assert "Speech at 60°, rain at 200° and 310°" in figure.get_suptitle()
