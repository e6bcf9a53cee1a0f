"""Scores in front: which sources count, and what a prior does."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import AZIMUTH_STEP
from ssl_jax.studies.front_scores import (
    FRONT_HEAD,
    front_rows,
    front_rows_by_kind,
    front_rows_of,
)
from ssl_jax.studies.places import Place
from ssl_jax.studies.unseen_heads import Heard


def posterior_of(*shares):
    """A row for each {azimuth: share}."""
    posterior = np.zeros((len(shares), 72))
    for row, share in zip(posterior, shares, strict=True):
        for azimuth, value in share.items():
            row[azimuth // AZIMUTH_STEP] = value
    return posterior


def column(rows, name):
    """The cells of a column by range and prior."""
    place = FRONT_HEAD.index(name)
    return {(row[1], row[2]): row[place] for row in rows}


def test_sources_count_by_how_far_they_are_from_the_front():
    truth = np.array([0.0, 358.0, 340.0, 21.0, 180.0])
    rows = front_rows("voices", np.eye(72)[[0, 0, 68, 4, 36]], truth)
    counts = column(rows, "windows")
    assert counts["straight ahead", "uniform"] == "2"
    assert counts["front ± 20°", "uniform"] == "3"
    assert counts["all around", "frontal"] == "5"
    assert {row[0] for row in rows} == {"voices"}


def test_the_frontal_prior_settles_what_is_open():
    """0.7 behind and 0.3 in front become 0.37 and 0.63."""
    rows = front_rows("voices", posterior_of({180: 0.7, 0: 0.3}), np.array([0.0]))
    within = column(rows, "within 10°")
    assert within["straight ahead", "uniform"] == "0.0 %"
    assert within["straight ahead", "frontal"] == "100.0 %"
    assert column(rows, "front-back")["all around", "uniform"] == "100.0 %"


@pytest.mark.filterwarnings("error")
def test_nothing_in_front_is_a_dash():
    rows = front_rows("voices", posterior_of({180: 1.0}), np.array([180.0]))
    assert column(rows, "within 10°")["straight ahead", "frontal"] == "-"


def test_all_places_count_together():
    one = {("net", 1.0): Heard(posterior_of({0: 1.0}), np.array([0.0]))}
    other = {("net", 1.0): Heard(posterior_of({180: 1.0}), np.array([0.0]))}
    rows = front_rows_of("voices", [one, other], "net")
    assert column(rows, "within 10°")["straight ahead", "uniform"] == "50.0 %"


def test_heads_and_rooms_have_rows_of_their_own():
    head = Place(
        "head", np.eye(1, 44_100)[None].repeat(2, axis=1), np.zeros(1), np.zeros(1), 44_100
    )
    echoes = head.hrirs + 0.5 * np.roll(head.hrirs, 4410, axis=-1)
    room = replace(head, name="room", hrirs=echoes)
    in_front = {("net", 1.0): Heard(posterior_of({0: 1.0}), np.array([0.0]))}
    behind = {("net", 1.0): Heard(posterior_of({180: 1.0}), np.array([0.0]))}
    rows = front_rows_by_kind("voices", [room, head], [in_front, behind], "net")
    within = {row[0]: row[FRONT_HEAD.index("within 10°")] for row in rows}
    assert within == {"voices, heads": "0.0 %", "voices, rooms": "100.0 %"}
    assert len(front_rows_by_kind("voices", [room], [in_front], "net")) == len(rows) / 2
