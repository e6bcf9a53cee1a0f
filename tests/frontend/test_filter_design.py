import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend.filter_design import FILTERS, block_filters, centre_frequencies, erb
from support.numpy_loop import SECTIONS


def test_erb_scale():
    assert erb(1000.0) == pytest.approx(24.7 + 1000 / 9.26449)
    cfs = centre_frequencies(44_100)
    assert (
        len(cfs) == 32
        and cfs[0] == pytest.approx(19_261.7, abs=0.1)
        and cfs[-1] == pytest.approx(80)
    )
    steps = np.diff(9.26449 * np.log(1 + cfs / (24.7 * 9.26449)))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


@pytest.mark.parametrize("filter_type", FILTERS)
def test_sections_are_stable_and_of_unit_gain(filter_type):
    fs, cfs = 44_100, centre_frequencies(44_100)
    for cf, sos in zip(cfs, SECTIONS[filter_type](fs, cfs), strict=True):
        assert max(abs(np.roots(section[3:])).max() for section in sos) < 1
        gain = abs(sps.sosfreqz(sos, [2 * np.pi * cf / fs])[1][0])
        # a Butterworth filter is flat near, not just at, its centre
        assert gain == pytest.approx(1, abs=1e-2 if filter_type == "butterworth" else 1e-9)


def test_butterworth_is_one_erb_wide():
    edges = 1000 + np.array([-0.5, 0.5]) * erb(1000.0)
    gains = abs(
        sps.sosfreqz(SECTIONS["butterworth"](16_000, [1000.0])[0], 2 * np.pi * edges / 16_000)[1]
    )
    np.testing.assert_allclose(gains, np.sqrt(0.5), rtol=1e-6)


def test_senseless_frequencies_are_refused():
    with pytest.raises(ValueError, match="above half their ERB"):
        block_filters(44_100, [5.0], 64, "butterworth")
    with pytest.raises(ValueError, match="low_freq < high_freq"):
        centre_frequencies(100.0, 32, 80.0)
