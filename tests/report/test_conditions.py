"""Under which conditions numbers were made: every fact, and notes that lack some."""

import json

import pytest

from ssl_jax.report.conditions import conditions_line, read_conditions, sounds_of
from support.made_logs import DATABASE
from support.runs import refuses

FACTS = {
    "sounds": "speech bundled, noise bundled, heads my_heads",
    "mixtures": "720",
    "directions": "nearest azimuth",
    "SNR of each noise": "0 to 7.5 dB",
    "split by": "speaker, head",
    "hair cell": "roman",
    "hop": "441 samples",
    "seeds": "3 for mixtures, 3, 4 for runs",
    "machine": "an abacus",
    "wall time": "2.5 minutes",
    "peak memory": "2.0 GiB",
    "commit": "0123456789",
}


def test_every_fact_is_read(results):
    assert read_conditions(results, "mine") == FACTS


def test_a_line_leaves_out_what_it_is_told_to():
    assert conditions_line({"a": "1", "b": "2", "c": "3"}, without=("b",)) == "a: 1; c: 3."


@pytest.mark.parametrize(
    "changed, wanted",
    [
        ({"heads": "bundled"}, "bundled speech, noise and heads"),
        ({"noise_kinds": ["rain", "wind"]}, "(kinds of noise rain, wind)"),
        ({"rooms": 1260}, "in 1,260 rooms"),
        ({"targets": "events"}, ", targets events"),
    ],
)
def test_sounds_in_words(changed, wanted):
    assert sounds_of({**DATABASE, **changed}).endswith(wanted)


@pytest.mark.parametrize("name", ["settings", "timing"])
@pytest.mark.parametrize("content", [None, "{}", "[]", "null", '{"stages": {}}', "not json"])
def test_notes_of_an_unfinished_run_are_refused(results, name, content):
    path = results / f"mine/{name}.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    says = "not valid JSON" if content == "not json" else "to its end"
    refuses(says, read_conditions, results, "mine")


def test_settings_without_sounds_are_refused(results):
    path = results / "mine/settings.json"
    settings = json.loads(path.read_text())
    del settings["database"]["heads"]
    path.write_text(json.dumps(settings))
    refuses("to its end", read_conditions, results, "mine")
