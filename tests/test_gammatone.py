import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.gammatone import BLOCK, block_filter, centre_frequencies, design, erb, gammatone_sos


def test_erb_scale():
    assert erb(1000.0) == pytest.approx(24.7 + 1000 / 9.26449)
    cfs = centre_frequencies(44_100)
    assert len(cfs) == 32 and cfs[0] == pytest.approx(19_261.7, abs=0.1) and cfs[-1] == pytest.approx(80)
    steps = np.diff(9.26449 * np.log(1 + cfs / (24.7 * 9.26449)))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_sections_are_stable_and_of_unit_gain():
    fs, cfs = 44_100, centre_frequencies(44_100)
    for cf, sos in zip(cfs, gammatone_sos(fs, cfs), strict=True):
        assert max(abs(np.roots(section[3:])).max() for section in sos) < 1
        assert abs(sps.sosfreqz(sos, [2 * np.pi * cf / fs])[1][0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("fs, low", [(8_000, 80.0), (44_100, 20.0), (96_000, 20.0)])
def test_block_matrices_are_the_recursion(fs, low):
    """One impulse, three blocks later: states and outputs agree with the sections to float64."""
    cfs, size = centre_frequencies(fs, 6, low), 16
    bank = block_filter(float(fs), tuple(cfs), size)
    impulse = np.zeros(4 * size)
    impulse[5] = 1
    reference = np.array([sps.sosfilt(sos, impulse) for sos in gammatone_sos(fs, cfs)])
    state, out = np.zeros((8, len(cfs))), []
    for block in impulse.reshape(4, size):
        y = np.einsum("i,itc->tc", block, bank.direct) + np.einsum("jc,jtc->tc", state, bank.observe)
        state = np.einsum("ijc,jc->ic", bank.advance, state) + np.einsum("i,ijc->jc", block, bank.inject)
        out.append(y)
    np.testing.assert_allclose(np.concatenate(out).T, reference, atol=1e-10 * abs(reference).max())


@pytest.mark.parametrize("samples", [1, 10, 64, 441, 443, 512, 1024])
def test_blocks_make_up_the_frame(samples):
    sizes = [bank.direct.shape[0] for bank in design(44_100, [1000.0, 100.0], samples)]
    assert max(sizes) <= BLOCK
    assert samples % sizes[0] == (sizes[1] if len(sizes) > 1 else 0)
