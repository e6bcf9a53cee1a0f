"""Whole commands: they run in processes of their own, and the page says what they took."""

import json

import numpy as np
import pytest
import soundfile

from ssl_jax.studies.whole_commands import (
    Command,
    Waited,
    commands_section,
    repeat_scene,
    reproduction_section,
    time_commands,
)
from support.runs import refuses


def test_a_command_is_timed_twice(tmp_path):
    (row,) = time_commands((Command("start-up", ("--version",)),), tmp_path)
    assert row.title == "start-up" and row.first_s > 0 and row.again_s > 0


def test_a_scene_is_repeated_to_the_length_asked_for(tmp_path):
    scene = np.arange(2 * 4000, dtype=np.int16).reshape(4000, 2)
    soundfile.write(tmp_path / "scene.wav", scene, 8000)
    repeat_scene(tmp_path, 3)
    repeated, fs = soundfile.read(tmp_path / "3.wav", dtype="int16")
    assert fs == 8000
    np.testing.assert_array_equal(repeated, np.concatenate([scene] * 6))


def test_a_command_that_fails_is_named_with_what_it_says(tmp_path):
    failing = (Command("bad", ("localise", "nowhere.wav")),)
    says = r"ssl_jax localise nowhere\.wav: failed: it says: .*no such file"
    refuses(says, time_commands, failing, tmp_path)


def test_the_table_says_how_many_times_real_time():
    text = commands_section([Waited("`localise`, a minute", 60.0, 9.0, 3.0)])
    assert "| `localise`, a minute | 9.0 | 3.0 | 20 |" in text
    assert "| start | 2.0 | 1.0 |  |" in commands_section([Waited("start", 0.0, 2.0, 1.0)])


MADE_BY = {"commit": "abc", "machine": "an abacus"}


@pytest.fixture
def results(tmp_path):
    """Results whose stages took one, two and three minutes, and a run that is not counted."""
    minutes = {"database": 1, "model1": 2, "model2": 3, "model2_seed1": 100}
    stages = {
        name: {"seconds": 60 * count, "peak_memory_mb": 100 * count, **MADE_BY}
        for name, count in minutes.items()
    }
    (tmp_path / "timing.json").write_text(json.dumps({"stages": stages}))
    return tmp_path


def test_the_stages_of_the_reproduction_are_added_up(results):
    text = reproduction_section(results)
    assert "on an abacus" in text
    assert "| `model2` | 3.0 | 300 | abc |" in text and "| together | 6.0 | 300 |  |" in text


def test_without_a_reproduction_nothing_is_said(tmp_path):
    assert reproduction_section(tmp_path) == ""
