"""Which ear is the left one, and which way azimuths run, by a head's own responses."""

import numpy as np

from ssl_jax.sounds.laterality import side_vote
from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import KEMAR, write_sofa
from support.runs import refuses

GOOD = read_sofa(KEMAR)
RIGHT_FIRST = np.array([[0, -0.09, 0], [0, 0.09, 0]])


def written(path, hrirs=GOOD.hrirs, azimuth=GOOD.azimuth, **changes):
    """KEMAR's responses under other fields."""
    positions = np.stack([azimuth, GOOD.elevation, np.ones(len(azimuth))], axis=1)
    return write_sofa(path, Data__IR=hrirs, SourcePosition=positions, **changes)


def test_a_measured_head_votes_for_itself_and_its_mirror_image_against():
    assert side_vote(*GOOD[1:]) == 1 and side_vote(GOOD.hrirs[:, ::-1], *GOOD[2:]) == -1
    front = np.sin(np.radians(GOOD.azimuth)) == 0
    assert side_vote(*(field[front] for field in GOOD[1:4]), GOOD.fs) is None  # nothing lateral


def test_files_that_contradict_themselves_are_read_by_their_responses(tmp_path, capsys):
    for name, path in {
        "as it is": written(tmp_path / "a.sofa"),
        "receivers": written(tmp_path / "b.sofa", ReceiverPosition=RIGHT_FIRST),
        "clockwise": written(tmp_path / "c.sofa", azimuth=-GOOD.azimuth % 360),
        "right ear first": written(
            tmp_path / "d.sofa", GOOD.hrirs[:, ::-1], ReceiverPosition=RIGHT_FIRST
        ),
    }.items():
        found, said = read_sofa(path), capsys.readouterr().err
        assert np.array_equal(found.hrirs, GOOD.hrirs)
        np.testing.assert_allclose(found.azimuth, GOOD.azimuth, atol=1e-9)  # turned twice
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


def test_the_pole_by_rounding_and_responses_up_to_two_seconds(tmp_path):
    positions = np.stack(
        [np.arange(72) * 5.0, np.linspace(-90.0000076, 90.0009, 72), np.ones(72)], axis=1
    )
    found = read_sofa(write_sofa(tmp_path / "p.sofa", SourcePosition=positions), azimuths="stated")
    assert (found.elevation[0], found.elevation[-1]) == (-90, 90)
    room = np.zeros((2, 2, 88_200))
    room[:, 0, 10], room[:, 1, 40], room[..., -1] = 1, 0.5, 0.01
    sides = np.array([[90.0, 0, 1], [80.0, 0, 1]])
    path = write_sofa(tmp_path / "r.sofa", Data__IR=room, SourcePosition=sides)
    assert read_sofa(path).hrirs.shape == room.shape
    longer = np.pad(room, ((0, 0), (0, 0), (0, 1)))
    path = write_sofa(tmp_path / "l.sofa", Data__IR=longer, SourcePosition=sides)
    refuses("responses of 2.0 s, over 2", read_sofa, path)
