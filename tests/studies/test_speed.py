import time

import numpy as np
import pytest

from ssl_jax.studies.speed import needs, seconds_of, table


def test_time_is_the_median_after_a_warm_up():
    waits = iter([0.2, 0.01, 0.01, 0.05, *[0.01] * 20])  # the first call is not counted
    assert seconds_of(lambda: time.sleep(next(waits))) < 0.1


def test_needs_are_those_of_the_equations():
    operations, traffic = needs()["cues, hop 441"]
    # 32 channels, 44,100 samples: 89 multiply-adds, and two ears' filters of 16
    assert operations == 32 * 44_100 * (89 + 2 * 16) * 2
    assert traffic == 2 * 44_100 * 4 + 3 * 32 * 100 * 2


@pytest.mark.parametrize("seconds, shown", [(0.0123, "12.3"), (2.5e-4, "0.250"), (97.0, "97,000.0")])
def test_table(seconds, shown):
    row = {
        "stage": "filterbank",
        "who": "ours",
        "seconds": seconds,
        "ratio_to_ours": 1.0,
        "floor_seconds": seconds / 4,
        "share_of_floor": 0.25,
    }
    text = table({"matrix_flops": 4e11, "memory_bytes": 3e10, "rows": [row]}, "here")
    assert f"| filterbank | ours | {shown} | 1.0 |" in text and "| 25 % |" in text
    assert np.char.count(text, "400 GFLOP/s") == 1
