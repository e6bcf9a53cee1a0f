import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend.block_design import block_filters
from ssl_jax.frontend.filter_design import FILTERS, as_cfs, centre_frequencies, erb
from ssl_jax.frontend.reference import sections

FS = 44_100
ROUNDING = 1e-9  # relative, of float64 designs whose poles are near the unit circle
# a Butterworth filter is flat near, not just at, its centre
GAIN_TOLERANCE = {"gammatone": ROUNDING, "allpole": ROUNDING, "butterworth": 1e-2}


def test_erb_of_glasberg_and_moore():
    assert erb(1000.0) == pytest.approx(24.7 + 1000 / 9.26449)


def test_published_centre_frequencies():
    cfs = centre_frequencies(FS)
    assert len(cfs) == 32
    assert cfs[0] == pytest.approx(19_261.7, abs=0.05)  # published digits
    assert cfs[-1] == pytest.approx(80)


def test_centre_frequencies_are_evenly_spaced_on_the_erb_scale():
    scale = 9.26449 * np.log(1 + centre_frequencies(FS) / (24.7 * 9.26449))
    steps = np.diff(scale)
    np.testing.assert_allclose(steps, steps[0], rtol=ROUNDING)


@pytest.mark.parametrize("filter_type", FILTERS)
def test_sections_are_stable(filter_type):
    for sos in sections(FS, centre_frequencies(FS), filter_type):
        for section in sos:
            assert max(abs(np.roots(section[3:]))) < 1


@pytest.mark.parametrize("filter_type", FILTERS)
def test_sections_have_unit_gain_at_the_centre(filter_type):
    cfs = centre_frequencies(FS)
    for cf, sos in zip(cfs, sections(FS, cfs, filter_type), strict=True):
        _, response = sps.sosfreqz(sos, [cf], fs=FS)
        assert abs(response[0]) == pytest.approx(1, abs=GAIN_TOLERANCE[filter_type])


def test_butterworth_is_one_erb_wide():
    edges = 1000 + np.array([-0.5, 0.5]) * erb(1000.0)
    (sos,) = sections(16_000, [1000.0], "butterworth")
    _, response = sps.sosfreqz(sos, edges, fs=16_000)
    np.testing.assert_allclose(abs(response), np.sqrt(0.5), rtol=1e-6)  # 3 dB down by design


@pytest.mark.parametrize("filter_type", FILTERS)
@pytest.mark.parametrize("samples", [1, 40, 64, 89, 441, 512])
def test_blocks_make_up_the_samples(filter_type, samples):
    sizes = [bank.block for bank in block_filters(FS, [1000.0], samples, filter_type)]
    rest = samples % sizes[0]
    assert sizes[1:] == ([rest] if rest else [])


def test_butterworth_filters_wider_than_their_place_are_refused():
    with pytest.raises(ValueError, match="above half their ERB"):
        block_filters(FS, [5.0], 64, "butterworth")


def test_centre_frequencies_above_half_the_rate_are_refused():
    with pytest.raises(ValueError, match="low_freq < high_freq"):
        centre_frequencies(100.0, 32, 80.0)


def test_half_a_channel_is_refused():
    with pytest.raises(ValueError, match="whole channels"):
        centre_frequencies(FS, 2.5)


@pytest.mark.parametrize("cfs", [[], [[100, 200], [300, 400]]])
def test_what_is_no_list_of_frequencies_is_refused(cfs):
    with pytest.raises(ValueError, match="must be a list"):
        as_cfs(cfs, FS)


def test_no_centre_frequency_at_all_is_refused():
    with pytest.raises(ValueError, match="must be a list"):
        block_filters(16_000, [], 64, "gammatone")
