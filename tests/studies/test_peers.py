import numpy as np
import pytest

from ssl_jax.frontend.auditory_model import GF_spectrogram
from ssl_jax.frontend.binaural_feature import calculate_itd_ild_ic
from ssl_jax.frontend.filter_design import centre_frequencies
from ssl_jax.studies.peers import sample_loop, sosfilt_cascade, torch_train_step, vectorised

FS = 44_100


@pytest.fixture
def bands(mixture):
    return np.asarray(GF_spectrogram(mixture[4000:8000].T, FS, [3000.0, 800.0]), np.float64)


def test_peers_do_the_same_sums(bands):
    """A benchmark against something else would say nothing."""
    ours = calculate_itd_ild_ic(*bands.astype(np.float32), FS, hop=441)
    lag, level, ic = vectorised(*bands, FS, 441)
    assert (abs(1000 * lag / FS - ours.itd) < 1e-3).all()
    np.testing.assert_allclose(np.clip(10 * np.log10(level), -7, 7), ours.ild, atol=0.01)
    np.testing.assert_allclose(ic, ours.ic, atol=1e-3)
    loop = np.array(sample_loop(bands[0, 1], bands[1, 1], FS))[440::441]
    np.testing.assert_allclose(loop.T, np.stack([lag[1], level[1], ic[1]]), rtol=1e-6)


def test_cascade_is_the_filterbank(mixture):
    x = mixture[:2000].T
    cfs = centre_frequencies(FS)
    np.testing.assert_allclose(sosfilt_cascade(x, FS, cfs), GF_spectrogram(x, FS), atol=1e-5)


def test_torch_is_optional():
    step = torch_train_step(4)
    assert step is None or step() is None
