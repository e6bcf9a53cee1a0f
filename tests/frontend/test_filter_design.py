import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend.filter_design import (
    BLOCK,
    FILTERS,
    allpole_sos,
    block_filter,
    butterworth_sos,
    centre_frequencies,
    design,
    erb,
    gammatone_sos,
)

SECTIONS = {"gammatone": gammatone_sos, "allpole": allpole_sos, "butterworth": butterworth_sos}


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


def test_butterworth_is_one_erb_wide():
    cf, fs = 1000.0, 16_000
    sos = butterworth_sos(fs, [cf])[0]
    edges = np.array([cf - erb(cf) / 2, cf + erb(cf) / 2])
    gains = abs(sps.sosfreqz(sos, 2 * np.pi * edges / fs)[1])
    np.testing.assert_allclose(gains, np.sqrt(0.5), rtol=1e-6)


@pytest.mark.parametrize("filter_type", FILTERS)
@pytest.mark.parametrize("fs, low", [(8_000, 80.0), (44_100, 40.0), (96_000, 40.0)])
def test_block_matrices_are_the_recursion(fs, low, filter_type):
    """An impulse, and three blocks later: states and outputs agree with the sections to float64."""
    cfs, size = centre_frequencies(fs, 6, low), 16
    bank = block_filter(float(fs), tuple(cfs), size, filter_type)
    impulse = np.zeros(4 * size)
    impulse[5] = 1
    reference = np.array([sps.sosfilt(sos, impulse) for sos in SECTIONS[filter_type](fs, cfs)])
    state, out = np.zeros(bank.steady.shape), []
    for block in impulse.reshape(4, size):
        y = np.einsum("i,itc->tc", block, bank.direct) + np.einsum("jc,jtc->tc", state, bank.observe)
        state = np.einsum("ijc,jc->ic", bank.advance, state) + np.einsum("i,ijc->jc", block, bank.inject)
        out.append(y)
    np.testing.assert_allclose(np.concatenate(out).T, reference, atol=1e-9 * abs(reference).max())


@pytest.mark.parametrize("filter_type", FILTERS)
def test_steady_state_stays(filter_type):
    bank = block_filter(16_000.0, (2000.0, 300.0), 32, filter_type)
    after = np.einsum("ijc,jc->ic", bank.advance, bank.steady) + bank.inject.sum(0)
    np.testing.assert_allclose(after, bank.steady, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 10, 64, 441, 443, 512, 1024])
def test_blocks_make_up_the_frame(samples):
    sizes = [bank.direct.shape[0] for bank in design(44_100, [1000.0, 100.0], samples)]
    assert max(sizes) <= BLOCK
    assert samples % sizes[0] == (sizes[1] if len(sizes) > 1 else 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: design(44_100, [30_000.0], 64),
        lambda: design(44_100, [1000.0], 64, "nonsense"),
        lambda: butterworth_sos(44_100, [5.0]),
        lambda: centre_frequencies(100.0, 32, 80.0),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(ValueError):
        call()
