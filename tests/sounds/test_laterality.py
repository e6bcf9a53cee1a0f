"""What responses say: which ear is left, which way azimuths run, how far apart the ears are."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.sounds.laterality import lateral_itd, side_vote
from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import FS, KEMAR, ring, write_sofa
from support.runs import refuses

GOOD = read_sofa(KEMAR)
RIGHT_FIRST = np.array([[0, -0.09, 0], [0, 0.09, 0]])
MILLISECOND = round(FS / 1000)  # samples


def written(path, hrirs=GOOD.hrirs, azimuth=GOOD.azimuth, **changes):
    """KEMAR's responses under other fields."""
    positions = ring(azimuth, GOOD.elevation)
    return write_sofa(path, Data__IR=hrirs, SourcePosition=positions, **changes)


def vote_of(sofa):
    return side_vote(sofa.hrirs, sofa.azimuth, sofa.elevation, sofa.fs)


def itd_of(sofa):
    return lateral_itd(sofa.hrirs, sofa.azimuth, sofa.elevation, sofa.fs)


def of_directions(sofa, chosen):
    return replace(
        sofa,
        hrirs=sofa.hrirs[chosen],
        azimuth=sofa.azimuth[chosen],
        elevation=sofa.elevation[chosen],
    )


MEDIAN_PLANE = of_directions(GOOD, np.sin(np.radians(GOOD.azimuth)) == 0)


def test_a_measured_head_votes_for_itself_and_its_mirror_image_against():
    assert vote_of(GOOD) == 1
    assert vote_of(replace(GOOD, hrirs=GOOD.hrirs[:, ::-1])) == -1
    assert vote_of(MEDIAN_PLANE) is None


def test_ripple_before_the_onset_does_not_vote():
    """Inverse filters ring before the direct sound, at the farther ear as loud as its own onset."""
    ringing = GOOD.hrirs.copy()
    ripple = 0.05 * np.abs(GOOD.hrirs).max(axis=(1, 2), keepdims=True)
    ringing[..., :20] += ripple * (-1) ** np.arange(20)
    assert vote_of(replace(GOOD, hrirs=ringing)) == 1


def test_kemars_ears_are_0_7_ms_apart():
    # the correlation's grid is 6 us
    assert itd_of(GOOD) == pytest.approx(0.70e-3, abs=0.01e-3)
    assert itd_of(MEDIAN_PLANE) is None


def test_files_that_contradict_themselves_are_read_by_their_responses(tmp_path, capsys):
    for name, path in {
        "as it is": written(tmp_path / "a.sofa"),
        "receivers": written(tmp_path / "b.sofa", ReceiverPosition=RIGHT_FIRST),
        "clockwise": written(tmp_path / "c.sofa", azimuth=-GOOD.azimuth % 360),
        "right ear first": written(
            tmp_path / "d.sofa", GOOD.hrirs[:, ::-1], ReceiverPosition=RIGHT_FIRST
        ),
    }.items():
        sofa = read_sofa(path)
        said = capsys.readouterr().err
        assert np.array_equal(sofa.hrirs, GOOD.hrirs)
        np.testing.assert_allclose(sofa.azimuth, GOOD.azimuth, atol=1e-9)  # turned twice
        assert said.count("overrides it\n") == (name in ("receivers", "clockwise"))


def test_an_override_is_taken_at_its_word(tmp_path, capsys):
    path = written(tmp_path / "b.sofa", ReceiverPosition=RIGHT_FIRST)
    assert np.array_equal(read_sofa(path, ears="stated").hrirs, GOOD.hrirs[:, ::-1])
    assert np.array_equal(read_sofa(path, ears="swap").hrirs, GOOD.hrirs)
    assert np.array_equal(read_sofa(path, azimuths="clockwise").azimuth, -GOOD.azimuth % 360)
    assert capsys.readouterr().err == ""


def test_responses_that_fit_neither_are_refused_unless_said(tmp_path):
    noise = np.random.default_rng(0).normal(size=GOOD.hrirs.shape)
    path = written(tmp_path / "n.sofa", noise)
    refuses("n.sofa: .*neither its azimuths nor their mirror image.*--ears", read_sofa, path)
    assert read_sofa(path, ears="stated").hrirs.shape == noise.shape


def kemars_delays():
    """Delays (n, 2), samples, between KEMAR's ears: 0.7 ms at 90 degrees."""
    side = np.sin(np.radians(GOOD.azimuth)) * np.cos(np.radians(GOOD.elevation))
    nearer = 0.35 * MILLISECOND * np.stack([side, -side], axis=1)
    return MILLISECOND - nearer


def test_a_delay_that_is_in_the_responses_too_is_refused_unless_said(tmp_path):
    path = written(tmp_path / "d.sofa", Data__Delay=kemars_delays())
    refuses(r"d.sofa: .* 1\.[34]\d ms apart.*Data.Delay.*--ears stated", read_sofa, path)
    assert itd_of(read_sofa(path, ears="stated")) > 1.3e-3


def test_responses_whose_delays_are_missing_are_said(tmp_path, capsys):
    aligned = np.repeat(GOOD.hrirs[:, :1], 2, axis=1)
    read_sofa(written(tmp_path / "m.sofa", aligned))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "0.00 ms apart" in said and "Data.Delay" in said


def test_aligned_responses_with_their_delays_are_read_in_silence(tmp_path, capsys):
    aligned = np.repeat(GOOD.hrirs[:, :1], 2, axis=1)
    path = written(tmp_path / "a.sofa", aligned, Data__Delay=kemars_delays())
    assert itd_of(read_sofa(path)) == pytest.approx(0.7e-3, abs=0.02e-3)
    assert capsys.readouterr().err == ""
