"""Results of two short runs, beside reported tables of other epochs."""

import pytest

from support.made_logs import OURS, REPORTED_COLUMNS, row_of, write_log, write_notes


@pytest.fixture
def results(tmp_path):
    """Model 1: three epochs of ours, the first two reported. Model 2: one of each.

    The continuation is only reported.
    """
    for run, epochs in (("model1", (1, 2)), ("model2", (5,)), ("model2_continued", (20,))):
        rows = [row_of(epoch) for epoch in epochs]
        write_log(tmp_path / f"reported/{run}.csv", REPORTED_COLUMNS, *rows)
    write_log(tmp_path / "mine/model1.csv", OURS, *(row_of(epoch, 0.25) for epoch in (1, 2, 3)))
    write_log(tmp_path / "mine/model2.csv", OURS, row_of(5, -0.5))
    write_notes(tmp_path / "mine")
    return tmp_path
