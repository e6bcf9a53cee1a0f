"""The benchmark: its peers run, and its table says what they take."""

import numpy as np
import pytest

from ssl_jax.sounds.mixing import mix, spatialise
from ssl_jax.studies import floor
from ssl_jax.studies.floor import needs, seconds_of
from ssl_jax.studies.peers import scipy_rendering, torch_network
from ssl_jax.studies.speed import table


def test_a_peer_trains_a_network_of_the_same_size():
    pytest.importorskip("torch", reason="a peer is optional")
    parameters = torch_network("cpu").parameters()
    assert sum(parameter.numel() for parameter in parameters) == 124_171


def test_a_peer_renders_the_same_mixture(speech, noises, heads):
    sources = np.stack([speech[0], *noises.waveforms[0, :2]])
    responses = heads.hrirs[3, [12, 40, 62]]
    snr = np.array([3.0, 20.0])
    ears = np.asarray(spatialise(sources, responses))
    ours = np.asarray(mix(ears[0], ears[1:], snr))
    # of float32 sums, where the peak is 1
    np.testing.assert_allclose(scipy_rendering(sources, responses, snr)(), ours, atol=1e-5)


def test_every_sample_needs_more_than_every_hop():
    assert needs()["cues, hop 1"].operations > needs()["cues, hop 441"].operations
    assert all(need.operations > 0 and need.traffic > 0 for need in needs().values())


def test_time_is_the_median_after_warm_ups(monkeypatch):
    """Every second call counts: 1 s, 2 s and eighths of a second until 4 s are full."""
    now = 0.0
    counted = [1.0, 2.0, *[0.125] * 20]
    durations = iter([100.0, *(seconds for one in counted for seconds in (50.0, one))])

    def work():
        nonlocal now
        now += next(durations)

    monkeypatch.setattr(floor.time, "perf_counter", lambda: now)
    assert seconds_of(work) == [0.125]


def test_works_take_turns(monkeypatch):
    order = []
    monkeypatch.setattr(floor, "REPEATS", 2)
    seconds = seconds_of(lambda: order.append("a"), lambda: order.append("b"))
    assert "".join(order) == "ab" + 2 * "aabb" and len(seconds) == 2


@pytest.mark.parametrize(
    "seconds, shown", [(0.0123, "12.3"), (2.5e-4, "0.250"), (97.0, "97,000.0")]
)
def test_table(seconds, shown):
    row = {"stage": "filterbank", "who": "ours", "seconds": seconds, "ratio_to_ours": 1.0}
    row |= {"floor_seconds": seconds / 4, "share_of_floor": 0.25}
    about = {"machine": "an abacus", "commit": "abc", "matrix_flops": 4e11, "memory_bytes": 3e10}
    text = table(about | {"rows": [row]})
    assert f"| filterbank | ours | {shown} | 1.00 |" in text and "| 25 % |" in text
    assert text.startswith("Machine: an abacus; 400 GFLOP/s") and "\nCommit abc; " in text
