"""The benchmark: how it times, and what its table says. Its loop is tested in tests/frontend."""

import time

import pytest

from ssl_jax.studies.speed import seconds_of, table, torch_train_step


def test_the_step_in_pytorch_runs():
    pytest.importorskip("torch")
    assert torch_train_step(4)() is None


def test_time_is_the_median_after_a_warm_up():
    waits = iter([0.2, 0.01, 0.01, 0.05, *[0.01] * 20])  # the first call is not counted
    assert seconds_of(lambda: time.sleep(next(waits))) < 0.1


@pytest.mark.parametrize(
    "seconds, shown", [(0.0123, "12.3"), (2.5e-4, "0.250"), (97.0, "97,000.0")]
)
def test_table(seconds, shown):
    row = {"stage": "filterbank", "who": "ours", "seconds": seconds, "ratio_to_ours": 1.0}
    row |= {"floor_seconds": seconds / 4, "share_of_floor": 0.25}
    about = {"machine": "an abacus", "commit": "abc", "matrix_flops": 4e11, "memory_bytes": 3e10}
    text = table(about | {"rows": [row]})
    assert f"| filterbank | ours | {shown} | 1.0 |" in text and "| 25 % |" in text
    assert text.startswith("Machine: an abacus; 400 GFLOP/s") and "\nCommit abc; " in text
