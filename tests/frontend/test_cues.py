"""What cues know of themselves: times, centre frequencies, a line of text, a picture."""

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

from ssl_jax.config import FrontEnd
from ssl_jax.frontend.binaural_feature import calculate_itd_ild_ic, get_cues_clean
from ssl_jax.frontend.cue_plot import MAPS, channel_edges
from ssl_jax.frontend.cues import Cues
from ssl_jax.frontend.filter_design import centre_frequencies
from ssl_jax.frontend.streaming import cue_block, start_cues

matplotlib.use("Agg")
FS = 8000
CFS = [2000.0, 500.0]
FLOAT32_ROUNDING = 1e-5  # dB, of logarithms in float32


def ears(samples=800, louder_dB=6.0):
    """Noise, (samples, 2), the left ear louder."""
    x = np.random.default_rng(0).standard_normal((samples, 1)).astype(np.float32)
    return x * np.float32([10 ** (louder_dB / 20), 1])


@pytest.fixture(scope="module")
def cues():
    return get_cues_clean(ears(), FS, CFS)


def test_times_are_the_ends_of_hops(cues):
    np.testing.assert_allclose(cues.times, np.arange(1, 11) * 0.010)


def test_a_frame_is_known_at_its_time():
    """A sound that changes after frame 4 gives the same frames 0 to 4."""
    changed = ears()
    at = int(get_cues_clean(ears(), FS, CFS).times[4] * FS)
    # the right ear is read up to 1 ms ahead
    changed[at + FS // 1000 :] *= [0.1, 1]
    before, after = (np.asarray(get_cues_clean(x, FS, CFS).ild) for x in (ears(), changed))
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=FLOAT32_ROUNDING)
    assert np.abs(before - after)[:, 6].min() > 1


def test_times_of_a_stream_go_on():
    stream, first = cue_block(start_cues(FS, CFS), ears()[:500])
    _, rest = cue_block(stream, ears()[500:], last=True)
    times = np.concatenate([first.times, rest.times])
    np.testing.assert_allclose(times, np.arange(1, 11) * 0.010)


def test_centre_frequencies_are_those_asked_for(cues):
    np.testing.assert_array_equal(cues.cfs, CFS)


def test_the_lowest_channel_comes_first_where_it_is_asked_for():
    cfs = centre_frequencies(FS, 4)
    highest_first = get_cues_clean(ears(), FS, cfs)
    lowest_first = get_cues_clean(ears(), FS, cfs[::-1])
    np.testing.assert_array_equal(lowest_first.cfs, highest_first.cfs[::-1])
    np.testing.assert_allclose(lowest_first.power, highest_first.power[::-1], rtol=FLOAT32_ROUNDING)


def test_envelopes_have_times_but_no_centre_frequencies():
    left, right = ears().T[:, None]
    cues = calculate_itd_ild_ic(left, right, FS, hop=400)
    np.testing.assert_allclose(cues.times, [0.05, 0.1])
    with pytest.raises(ValueError, match="calculate_itd_ild_ic gets none"):
        cues.cfs  # noqa: B018


def test_cues_of_arrays_alone_say_that_they_know_no_times():
    with pytest.raises(ValueError, match="made of arrays alone"):
        Cues(*np.zeros((4, 2, 3))).times  # noqa: B018


def test_cut_frames_and_channels_are_not_told_wrong_axes(cues):
    with pytest.raises(ValueError, match="3 frames, not the 10"):
        jax.tree.map(lambda cue: cue[:, 2:5], cues).times  # noqa: B018
    with pytest.raises(ValueError, match="1 channels, not the 2"):
        jax.tree.map(lambda cue: cue[1:], cues).cfs  # noqa: B018


def test_they_are_a_line(cues):
    text = "Cues: itd, ild, ic, power, each (2, 10) float32, 2000 to 500 Hz, 0 to 0.1 s"
    assert repr(cues) == text


def test_they_unpack_and_stack_as_four_arrays(cues):
    itd, ild, ic, power = cues
    assert (itd, ild, ic, power) == (cues.itd, cues.ild, cues.ic, cues.power)
    np.testing.assert_array_equal(np.stack(cues)[1], cues.ild)


def test_a_tree_of_numpy_arrays_keeps_the_axes(cues):
    host = jax.tree.map(np.asarray, cues)
    assert isinstance(host.ild, np.ndarray)
    np.testing.assert_array_equal(host.times, cues.times)


def test_inside_jit_and_vmap(cues):
    inside = jax.jit(lambda x: get_cues_clean(x, FS, CFS))
    np.testing.assert_allclose(inside(ears()).ild, cues.ild, atol=FLOAT32_ROUNDING)
    both = jax.vmap(inside)(np.stack([ears(), ears()]))
    assert both.ild.shape == (2, 2, 10)
    np.testing.assert_array_equal(both.times, cues.times)


def test_inside_grad_with_a_sound_that_is_known():
    """The sound is a constant of the traced function: it is checked, the gain is not known."""
    sound = jnp.asarray(ears())

    def ild(gain_dB):
        balanced = sound * jnp.stack([10 ** (gain_dB / 20), 1.0])
        assert get_cues_clean(sound, FS, CFS).times[0] == 0.010
        return get_cues_clean(balanced, FS, CFS).ild.mean()

    assert float(jax.grad(ild)(0.0)) == pytest.approx(1, abs=1e-3)  # dB for dB, float32


def test_a_picture_shows_each_map_over_seconds_and_hertz(cues):
    axes = cues.plot()
    assert len(axes) == 3
    for one, name in zip(axes, ("itd", "ild", "ic"), strict=True):
        (mesh,) = one.collections
        # drawn upwards, the lowest channel first
        np.testing.assert_array_equal(
            mesh.get_array().reshape(2, 10), np.asarray(getattr(cues, name))[::-1]
        )
        corners = mesh.get_coordinates()  # (3, 11, 2)
        np.testing.assert_allclose(corners[0, :, 0], np.arange(11) * 0.010, atol=1e-12)
        np.testing.assert_allclose(corners[:, 0, 1], [250, 1000, 4000])
        assert (one.get_xlabel(), one.get_ylabel()) == ("time (s)", "centre frequency (Hz)")
    matplotlib.pyplot.close("all")


def test_a_picture_goes_where_it_is_wanted(cues):
    figure, axes = matplotlib.pyplot.subplots(1, 3)
    assert list(cues.plot(axes)) == list(axes)
    matplotlib.pyplot.close(figure)


def test_a_picture_of_several_sounds_is_refused():
    both = get_cues_clean(np.stack([ears(), ears()]), FS, CFS)
    with pytest.raises(ValueError, match=r"not \(2, 2, 10\): take one"):
        both.plot()


@pytest.mark.parametrize("style", MAPS, ids=lambda style: style.field)
def test_close_limits_lie_within_the_limits(style):
    (low, high), (close_low, close_high) = style.limits, style.close_limits
    assert low <= close_low < close_high <= high


def test_a_single_channel_is_an_octave_high():
    np.testing.assert_allclose(channel_edges(np.array([1000.0])), [1000 / 2**0.5, 1000 * 2**0.5])


def test_the_published_settings_are_one_name_away():
    front = FrontEnd.published()
    assert (front.fs, front.hair_cell, front.max_ild) == (44_100, "none", 7.0)
    assert (front.hop, front.tau, front.max_itd) == (441, 0.010, 0.001)


def test_the_published_cues_clip_at_seven_decibels():
    x = ears(4410, louder_dB=15.0)
    published = FrontEnd.published().cues(x)
    expected = get_cues_clean(x, 44_100, hair_cell="none", max_ild=7.0, hop=441)
    np.testing.assert_array_equal(published, expected)
    assert float(np.max(published.ild)) == 7
