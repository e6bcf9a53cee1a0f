import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend import filter_design
from ssl_jax.frontend.filter_design import FILTERS, block_filter, block_filters, centre_frequencies, erb
from support.numpy_loop import SECTIONS


def test_erb_scale():
    assert erb(1000.0) == pytest.approx(24.7 + 1000 / 9.26449)
    cfs = centre_frequencies(44_100)
    assert len(cfs) == 32 and cfs[0] == pytest.approx(19_261.7, abs=0.1) and cfs[-1] == pytest.approx(80)
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


@pytest.mark.parametrize("filter_type", FILTERS)
@pytest.mark.parametrize("fs, low", [(8_000, 80.0), (44_100, 40.0), (96_000, 40.0)])
def test_block_matrices_are_the_recursion(fs, low, filter_type):
    """An impulse, and three blocks later: states and outputs agree with the sections to float64."""
    cfs, size = centre_frequencies(fs, 6, low), 16
    bank = block_filter(float(fs), tuple(cfs), size, filter_type)
    impulse = np.eye(1, 4 * size, 5)[0]
    reference = np.array([sps.sosfilt(sos, impulse) for sos in SECTIONS[filter_type](fs, cfs)])
    state, out = np.zeros(bank.steady.shape), []
    for block in impulse.reshape(4, size):
        out.append(np.einsum("i,itc->tc", block, bank.D) + np.einsum("jc,jtc->tc", state, bank.C))
        state = np.einsum("ijc,jc->ic", bank.A, state) + np.einsum("i,ijc->jc", block, bank.B)
    np.testing.assert_allclose(np.concatenate(out).T, reference, atol=1e-9 * abs(reference).max())
    # a constant input leaves the steady state as it is
    after = np.einsum("ijc,jc->ic", bank.A, bank.steady) + bank.B.sum(0)
    np.testing.assert_allclose(after, bank.steady, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 10, 64, 441, 443, 512, 1024])
def test_blocks_make_up_the_frame(samples):
    sizes = [bank.D.shape[0] for bank in block_filters(44_100, [1000.0, 100.0], samples)]
    assert max(sizes) <= filter_design.BLOCK
    assert samples % sizes[0] == (sizes[1] if len(sizes) > 1 else 0)


def test_senseless_frequencies_are_refused():
    with pytest.raises(ValueError, match="above half their ERB"):
        block_filters(44_100, [5.0], 64, "butterworth")
    with pytest.raises(ValueError, match="low_freq < high_freq"):
        centre_frequencies(100.0, 32, 80.0)
