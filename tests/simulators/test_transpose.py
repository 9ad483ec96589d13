"""Columns of tables as rows of lanes in engine `cpu`, against numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtha_lab.simulators.cpu.records import Block, Links
from qtha_lab.simulators.cpu.transpose import load_columns, store_columns
from qtha_lab.simulators.cpu.vectors import BYTES

GAP = -7.0  # what is written nowhere


@settings(deadline=None, max_examples=60)
@given(
    columns=st.integers(1, 9),
    vectors=st.integers(1, 3),
    data=st.data(),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_columns_become_rows_and_rows_columns(columns, vectors, data, kind):
    vector = BYTES // np.dtype(kind).itemsize
    lanes = vectors * vector
    count = data.draw(st.integers(1, lanes))
    start = data.draw(st.integers(0, 3))
    rows = data.draw(st.permutations(range(columns + 2)))[:columns]
    scales = data.draw(
        st.lists(st.sampled_from([1.0, -0.5, 2.0]), min_size=columns, max_size=columns)
    )
    links = np.array(list(enumerate(rows)), np.int64)
    table = np.random.default_rng(0).normal(size=(start + count + 2, columns)).astype(kind)
    at = vector  # neither the first nor the last of `room`
    workspace = np.full(at + (columns + 2) * lanes + vector, GAP, kind)
    whole = Links(links, np.array(scales), True)
    block = Block(workspace, lanes, lanes, vector, start, count)
    load_columns(block, at, table, whole, 0.5)
    wanted = np.full((columns + 2, lanes), GAP, kind)
    for column, row in links:
        wanted[row] = 0
        wanted[row, :count] = kind(0.5 * scales[column]) * table[start : start + count, column]
    taken = workspace[at : at + wanted.size].reshape(wanted.shape)
    np.testing.assert_array_equal(taken, wanted)
    assert set(workspace[:at]) | set(workspace[at + wanted.size :]) == {GAP}

    given_back, wanted = np.full_like(table, GAP), np.full_like(table, GAP)
    store_columns(block, at, given_back, whole, 0.5, True)
    for column, row in links:
        wanted[start : start + count, column] = kind(0.5 * scales[column]) * taken[row, :count]
    np.testing.assert_array_equal(given_back, wanted)


@pytest.mark.parametrize("count", [5, 16, 21])
def test_two_columns_of_one_row_are_added_and_two_rows_of_one_column_too(count):
    lanes, vector = 32, 16
    links = np.array([(0, 1), (4, 1), (4, 0)], np.int64)
    scales = np.array([1.0, 2.0, -1.0])
    table = np.arange(count * 5, dtype=np.float32).reshape(count, 5)
    workspace = np.full(2 * lanes, GAP, np.float32)
    block, some = Block(workspace, lanes, lanes, vector, 0, count), Links(links, scales, False)
    load_columns(block, 0, table, some, 1.0)
    rows = workspace.reshape(2, lanes)
    np.testing.assert_array_equal(rows[1, :count], table[:, 0] + 2 * table[:, 4])
    np.testing.assert_array_equal(rows[0, :count], -table[:, 4])
    assert not rows[:, count:].any()

    more = np.ones_like(table)
    for before, is_first in ((1, False), (0, True)):  # as they are, and then for the first time
        store_columns(block, 0, more, some, 1.0, is_first)
        np.testing.assert_array_equal(more[:, 0], before + rows[1, :count])
        np.testing.assert_array_equal(more[:, 4], before + 2 * rows[1, :count] - rows[0, :count])
        assert (more[:, 1:4] == before).all()
