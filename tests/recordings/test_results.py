"""What the result of `localise` says of itself: in words, as a dict, as a table, as a picture."""

import json
import sys
import types
import warnings
from dataclasses import replace

import jax
import matplotlib
import numpy as np
import pytest

from ssl_jax import localise
from ssl_jax.recordings.azimuths import Azimuths, mean_azimuth
from ssl_jax.recordings.pairs import CHANCE
from ssl_jax.recordings.pictures import _clipped_ends, _draw_from_above
from ssl_jax.recordings.posteriors import in_words
from ssl_jax.recordings.tables import as_json
from support.estimates import windows_of

matplotlib.use("Agg")


def azimuths(*degrees, confidence=0.97, flags=()):
    """Windows that each hear one azimuth, a multiple of 5 degrees; NaN for silence."""
    azimuth = np.array(degrees, float)
    heard = np.isfinite(azimuth)
    posterior = np.full((len(degrees), 72), 1 / 72)
    posterior[heard] = np.eye(72)[(azimuth[heard] / 5).astype(int)]
    return Azimuths(
        times=0.5 + 0.1 * np.arange(len(degrees)),
        azimuth=azimuth,
        confidence=np.where(heard, confidence, 0),
        mirrored=np.full(len(degrees), np.nan),
        posterior=posterior,
        flags=(tuple(flags),) * len(degrees),
        notes=(),
        model="any",
        prior="frontal",
        window=1.0,
        step=0.1,
        seconds=0.9 + 0.1 * len(degrees),
        fs=44_100,
        cues=None,
        cfs=np.geomspace(16_000, 80, 32),
    )


@pytest.mark.parametrize(
    "azimuth, words",
    [
        (60.2, "60.2 degrees (left, front)"),
        (0.4, "0.4 degrees (front)"),
        (359.99, "0.0 degrees (front)"),
        (90, "90.0 degrees (left)"),
        (123, "123.0 degrees (left, back)"),
        (181, "181.0 degrees (back)"),
        (225, "225.0 degrees (right, back)"),
        (270, "270.0 degrees (right)"),
        (300, "300.0 degrees (right, front)"),
    ],
)
def test_an_azimuth_in_words(azimuth, words):
    assert in_words(azimuth) == words


def test_the_answer_is_a_line():
    text = "Azimuths: 60.0 degrees (left, front), 41 windows of 1 s, confidence 0.97"
    assert repr(azimuths(*[60] * 41)) == text


def test_one_window_is_one():
    assert "1 window of 1 s" in repr(azimuths(60))


def test_front_or_back_is_named():
    found = windows_of(np.eye(72)[[0, 0]] * 0.7 + np.eye(72)[[36, 36]] * 0.3)
    found = replace(azimuths(0, 0), **vars(found))
    text = (
        "Azimuths: 0.0 degrees (front) or 180.0 degrees (back), 2 windows of 1 s, confidence 0.70"
    )
    assert repr(found) == text
    content = found.to_dict()
    assert (content["azimuth_deg"], content["mirrored_deg"], content["moves"]) == (0, 180, False)
    assert found.mean_mirrored == pytest.approx(180)


def test_a_source_that_moves_is_named():
    found = azimuths(*range(0, 90, 5))
    assert repr(found).startswith("Azimuths: no one azimuth: the source moves, 18 windows")
    assert found.moves and found.to_dict()["moves"]
    assert found.to_dict()["azimuth_deg"] is None


def test_several_directions_are_named():
    text = (
        "Azimuths: no one azimuth: 60.0 degrees (left, front) 50%; "
        "300.0 degrees (right, front) 50%, 2 windows of 1 s, confidence 0.97"
    )
    assert repr(azimuths(60, 300)) == text


def test_silence_is_named():
    silent = "Azimuths: no one azimuth: nothing stands out, 2 windows of 1 s, silent"
    assert repr(azimuths(np.nan, np.nan)) == silent


def test_the_mean_leaves_silent_windows_out():
    found = azimuths(60, np.nan, 60)
    assert found.mean_azimuth == mean_azimuth(found) == pytest.approx(60)


def test_directions_have_their_share_of_the_windows():
    peaks = azimuths(60, 60, 300).directions
    assert [one.azimuth for one in peaks] == pytest.approx([60, 300])
    # each window may be either's by chance
    expected = [(share + CHANCE) / (1 + 2 * CHANCE) for share in (2 / 3, 1 / 3)]
    assert [one.share for one in peaks] == pytest.approx(expected)


def test_an_answer_is_a_pytree_of_its_arrays():
    answer = azimuths(60, 65, flags=["quiet"])
    mirrored = jax.tree.map(np.negative, answer)
    assert isinstance(mirrored, Azimuths) and mirrored.flags == answer.flags
    np.testing.assert_array_equal(mirrored.azimuth, -answer.azimuth)


def test_a_dict_is_what_the_command_writes_but_for_the_file():
    found = azimuths(60, np.nan)
    content = found.to_dict()
    assert {"file": "a.wav", **content} == as_json("a.wav", found)
    assert json.loads(json.dumps(content))["windows"][1]["azimuth_deg"] is None


def test_a_data_frame_has_a_row_a_window(monkeypatch):
    """With a stand-in for pandas, which the package does not need."""
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=dict))
    table = azimuths(60, 65, flags=("short", "unsure")).to_dataframe()
    assert list(table) == ["time_s", "azimuth_deg", "confidence", "mirrored_deg", "flags"]
    np.testing.assert_array_equal(table["azimuth_deg"], [60, 65])
    assert table["flags"] == ["short / unsure"] * 2


def test_without_pandas_a_data_frame_is_refused_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # an import then fails
    with pytest.raises(ImportError, match="^to_dataframe needs pandas: pip install pandas$"):
        azimuths(60).to_dataframe()


def test_a_picture_shows_the_posterior_and_the_estimates():
    axes = azimuths(60, 60, 300).plot()
    (image,) = axes.images
    shown = image.get_array()  # upwards from -180 degrees, which is there again at the top
    assert shown.shape == (73, 3)
    np.testing.assert_array_equal(shown.argmax(axis=0) * 5 - 180, [60, 60, -60])
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.5, 60], [0.6, 60], [0.7, -60]])
    matplotlib.pyplot.close("all")


def test_a_picture_crosses_the_mirror_images_that_stay_open():
    axes = replace(azimuths(30, 30), mirrored=np.array([150, np.nan])).plot()
    _, crosses = axes.collections
    np.testing.assert_allclose(crosses.get_offsets(), [[0.5, 150]])
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    "found, title, arrows",
    [
        (azimuths(60, 60), "60°", 1),
        (azimuths(60, 300), "60°, 300°", 2),
        (azimuths(*range(0, 90, 5)), "it moves", 0),
    ],
)
def test_an_arrow_is_a_direction(found, title, arrows):
    axes = matplotlib.pyplot.subplots()[1]
    _draw_from_above(axes, found)
    assert axes.get_title(loc="left") + axes.get_title() == f"Seen from above: {title}"
    drawn = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(drawn) == arrows
    matplotlib.pyplot.close("all")


def test_a_picture_goes_where_it_is_wanted():
    figure, axes = matplotlib.pyplot.subplots()
    assert azimuths(60).plot(axes) is axes
    matplotlib.pyplot.close(figure)


def test_ears_along_the_first_axis_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"transpose it: signal\.T"):
        localise(np.zeros((2, 44_100)), 44_100)


@pytest.mark.parametrize("samples", [0, 100])
def test_a_sound_that_is_too_short_is_refused(samples):
    with pytest.raises(ValueError, match="ms of sound"):
        localise(np.zeros((samples, 2)), 44_100)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(wrong):
    with pytest.raises(ValueError, match="signal"):
        localise(np.full((10_000, 2), wrong), 44_100)


def test_a_silent_sound_is_plotted_without_a_warning():
    silent = azimuths(np.nan, np.nan, flags=["silent"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = silent.plot()
    assert axes.get_legend() is None
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    "values, ends",
    [
        ([0.0, np.nan], "neither"),
        ([-9.0, 0.0], "min"),
        ([0.0, 9.0], "max"),
        ([-9.0, 9.0, np.nan], "both"),
    ],
)
def test_a_colour_bar_shows_at_which_ends_values_lie_beyond(values, ends):
    assert _clipped_ends(np.array(values), (-7.0, 7.0)) == ends
