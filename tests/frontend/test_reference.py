"""The plain loops are held to what can be worked out by hand, and to published numbers."""

import numpy as np
import pytest

from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.frontend.filter_design import FILTERS, centre_frequencies
from ssl_jax.frontend.reference import (
    cues_of_sound,
    filterbank,
    hair_cell_output,
    running_cues,
    sections,
)

FS = 44_100
A = 1 / (0.010 * FS)  # of the usual window
ROUNDING = 1e-12  # relative: some hundred float64 operations


def impulse(at, samples=100):
    """(1, samples): one channel that is 1 at one sample."""
    x = np.zeros((1, samples))
    x[0, at] = 1
    return x


def noise(samples=1000):
    return np.random.default_rng(0).standard_normal((1, samples))


def test_published_impulse_response():
    """Slaney's toolbox, fs 16 kHz, 10 channels from 100 Hz: peak value and peak bins."""
    cfs = centre_frequencies(16_000, 10, 100.0)
    y = filterbank(impulse(0, 512)[0], 16_000, cfs)
    assert y.max() == pytest.approx(0.1065741, abs=5e-8)  # published digits
    bins = np.abs(np.fft.rfft(y)).argmax(axis=1) + 1
    np.testing.assert_array_equal(bins, [184, 132, 94, 66, 46, 32, 21, 14, 8, 4])


@pytest.mark.parametrize("filter_type", FILTERS)
def test_a_filterbank_has_a_row_for_each_channel(filter_type):
    assert filterbank(noise()[0], FS, [2000.0, 500.0], filter_type).shape == (2, 1000)


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="'nonsense' is not known.*allpole"):
        sections(FS, [1000.0], "nonsense")


@pytest.mark.parametrize(
    "hair_cell, expected",
    [("none", [-4, 0, 0.25, 9]), ("halfwave", [0, 0, 0.25, 9]), ("roman", [0, 0, 0.5, 3])],
)
def test_hair_cells_without_memory(hair_cell, expected):
    x = np.array([-4, 0, 0.25, 9])
    np.testing.assert_array_equal(hair_cell_output(x, FS, hair_cell), expected)


@pytest.mark.parametrize("hair_cell", ["lindemann", "breebaart"])
def test_low_passes_leave_a_constant_as_it_is(hair_cell):
    y = hair_cell_output(np.ones(FS // 10), FS, hair_cell)
    assert y[-1] == pytest.approx(1, rel=ROUNDING)


def test_an_unknown_hair_cell_is_refused():
    with pytest.raises(ValueError, match="'nonsense' is not known.*roman"):
        hair_cell_output(np.zeros(10), FS, "nonsense")


@pytest.mark.parametrize("lag", [-44, -1, 0, 30, 44])
def test_the_itd_of_two_impulses_is_their_distance(lag):
    cues = running_cues(impulse(50, 200), impulse(50 + lag, 200), FS)
    assert cues.itd[0, 50] == pytest.approx(1000 * lag / FS, rel=ROUNDING)


def test_an_impulse_decays_as_the_window_does():
    """LL and RR are both a (1-a)^n, n samples after an impulse in both ears."""
    cues = running_cues(impulse(0), impulse(0), FS)
    np.testing.assert_allclose(cues.power[0], 2 * A * (1 - A) ** np.arange(100), rtol=ROUNDING)


def test_equal_ears_are_coherent():
    cues = running_cues(noise(), noise(), FS)
    np.testing.assert_allclose(cues.ic, 1, rtol=ROUNDING)


def test_opposite_ears_have_no_negative_coherence():
    """A constant and its negative: gamma is -1 at every lag that counts the whole of it."""
    cues = running_cues(np.ones((1, 500)), -np.ones((1, 500)), FS)
    np.testing.assert_array_equal(cues.ic, 0)


@pytest.mark.parametrize("left, right, ild", [(2, 1, 20 * np.log10(2)), (1, 20, -20), (1, 0, 20)])
def test_the_ild_is_the_ratio_of_levels_up_to_the_limit(left, right, ild):
    cues = running_cues(left * noise(), right * noise(), FS)
    np.testing.assert_allclose(cues.ild, ild, rtol=ROUNDING)


def test_silence_is_zero():
    cues = running_cues(np.zeros((2, 100)), np.zeros((2, 100)), FS)
    for values in (cues.itd, cues.ild, cues.ic, cues.power):
        np.testing.assert_array_equal(values, np.zeros((2, 100)))


def test_silence_is_silent_in_every_hair_cell():
    for hair_cell in HAIR_CELLS:
        assert not hair_cell_output(np.zeros(500), FS, hair_cell).any()


@pytest.mark.parametrize("hop", [0, -5, 101])
def test_a_hop_that_the_sound_has_not_is_refused(hop):
    with pytest.raises(ValueError, match="use 1 to 100 samples"):
        running_cues(np.ones((1, 100)), np.ones((1, 100)), FS, hop=hop)


def test_a_hop_keeps_the_value_at_its_last_sample():
    every = running_cues(noise(), np.roll(noise(), 3), FS)
    kept = running_cues(noise(), np.roll(noise(), 3), FS, hop=30)
    np.testing.assert_array_equal(kept.ic, every.ic[:, 29::30])


def test_the_whole_way_is_the_three_stages_one_after_the_other():
    ears = np.random.default_rng(1).standard_normal((500, 2))
    left, right = (hair_cell_output(filterbank(x, FS, [900.0]), FS, "roman") for x in ears.T)
    stages = running_cues(left, right, FS, hop=100)
    whole = cues_of_sound(ears, FS, [900.0], hair_cell="roman", hop=100)
    np.testing.assert_array_equal(whole.ild, stages.ild)


@pytest.mark.parametrize("ears", [np.zeros((2, 100)), np.zeros((0, 2)), np.full((100, 2), np.nan)])
def test_what_is_no_sound_of_two_ears_is_refused(ears):
    with pytest.raises(ValueError, match="ears "):
        cues_of_sound(ears, FS, [900.0])
