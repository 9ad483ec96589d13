"""The values of an axis: what is written is what a grid takes, and what is read back."""

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.axes import RANGE, Axis, count_points

FRACTIONS = st.floats(1e-6, 1e6).map(lambda value: float(f"{value:.4g}"))


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("0.001, 0.003,0.01", [0.001, 0.003, 0.01]),
        ("1e-4…1e-1 log 4", [0.0001, 0.001, 0.01, 0.1]),
        ("1e-4...1e-1 LOG 4", [0.0001, 0.001, 0.01, 0.1]),
        ("0..1.0 linear 3", [0.0, 0.5, 1.0]),
        ("0.5..1.5 3", [0.5, 1.0, 1.5]),
        ("2..6", [2, 3, 4, 5, 6]),
        ("2..64 log", [2, 4, 8, 16, 32, 64]),
        ("cosine, linear", ["cosine", "linear"]),
        ("true,false", [True, False]),
        ("[8,16]", [8, 16]),
        ([8, None], [8, None]),
        (0.3, [0.3]),
    ],
)
def test_a_grid_takes_what_is_written(written, values):
    assert Axis.of(written).grid() == values
    assert list(map(type, Axis.of(written).grid())) == list(map(type, values))


@given(FRACTIONS, FRACTIONS, st.integers(2, 30), st.booleans())
def test_a_range_is_cut_evenly_between_its_ends(low, high, count, log):
    assume(low < high)
    grid = Axis.of(f"{low}..{high} {'log' if log else 'linear'} {count}").grid()
    assert len(grid) == count
    assert grid[0] == pytest.approx(low, rel=1e-5)
    assert grid[-1] == pytest.approx(high, rel=1e-5)
    scaled = [math.log(value) for value in grid] if log else grid
    steps = [after - before for before, after in itertools.pairwise(scaled)]
    # each value is rounded to six digits, so a step is off by two such roundings at most
    rounding = 2e-5 if log else 2e-5 * high
    assert max(steps) - min(steps) <= rounding


@given(
    st.one_of(
        st.lists(st.integers(-5, 5), min_size=1, unique=True),
        st.lists(FRACTIONS, min_size=1, max_size=5, unique=True),
        st.tuples(st.integers(1, 5), st.integers(6, 9)).map(lambda ends: f"{ends[0]}..{ends[1]}"),
        st.tuples(FRACTIONS, st.integers(2, 9)).map(
            lambda cut: f"{cut[0]}..{2 * cut[0]} log {cut[1]}"
        ),
    )
)
def test_what_a_description_holds_is_read_back_as_the_same_axis(values):
    axis = Axis.of(values)
    assert Axis.of(axis.written) == axis


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("", "has no value"),
        ("0.1, 0.1", "Values must differ, got 0.1 twice"),
        ("0.1..0.01", "must go upward, got 0.1 to 0.01"),
        ("0..1.0 log 3", r"A logarithmic range must begin above 0, got 0\."),
        ("0.1..1 linear 1", "at least 2 values, got 1"),
        ("1..3 linear 9", r"A range must hold 9 different whole numbers, got 1 to 3\."),
        ([[1], [2]], "The values of an axis must be plain, got"),
        ([{"a": 1}], "The values of an axis must be plain, got"),
        (float("nan"), "finite"),
    ],
)
def test_values_that_are_none_are_refused(written, rule):
    with pytest.raises(Refusal, match=rule):
        Axis.of(written)


def test_a_grid_of_fractions_must_know_how_many():
    with refused("A grid from 0.1 to 1", rule="number of values", remedy="0.1..1 log 5"):
        Axis.of("0.1..1 log").grid()


@pytest.mark.parametrize(
    "written",
    ["1..10001", "1..1000000000", "-9007199254740992..9007199254740992", "0..10000 linear"],
)
def test_a_whole_range_of_too_many_values_is_counted_and_no_grid_takes_it(written):
    axis = Axis.of(written)  # a search at random may draw from it
    assert axis.size is not None
    assert axis.size > 10_000
    with pytest.raises(
        Refusal, match=r"at most 10,000 values, got [\d,]+\. Write .* 10 for ten of them\."
    ):
        axis.grid()
    assert Axis.of("1..10000").grid()[-1] == 10_000


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("1e-4..1e-1 log 99999999999", "at most 10,000 values, got 99,999,999,999"),
        ("0.1..0.2 10001", "at most 10,000 values"),
        ("1..1000000 10001", "at most 10,000 values"),
        ("1e308..1e309", r"at most 1e\+300"),
        ("-1e308..1e308 5", r"at most 1e\+300"),
        ("1e-300..1e299 log 5", "by a factor of at most"),
        ("1e-320..1 log 5", "by a factor of at most"),
        (f"1..{10**150}", r"at most 2\^53 for whole numbers"),
        (f"1..{'9' * 5000}", "at most 200 characters, got 5,003"),
        (f"1..2 log {'9' * 5000}", "at most 200 characters"),
        ("1.0..1.000001 9", "9 numbers that differ in six digits"),
        (",".join(map(str, range(10_001))), "at most 10,000 values, got 10,001"),
        (list(range(10_001)), "at most 10,000 values, got 10,001"),
        (f"1,{'[' * 5000}{']' * 5000},2", "nested at most 8 levels"),
    ],
)
def test_a_range_that_no_computer_holds_is_refused_in_a_short_sentence(written, rule):
    with pytest.raises(Refusal, match=rule) as record:
        Axis.of(written)
    assert len(str(record.value)) <= 300


def test_points_are_counted_without_a_grid():
    assert count_points([Axis.of("1..10000"), Axis.of("1..10")]) == 100_000
    with refused("A grid", "100,000,000"):
        count_points([Axis.of("1..10000"), Axis.of("1..10000")])


@pytest.mark.parametrize("text", ["1" * 50_000, "1..2" + " " * 50_000 + "x", " " * 50_000 + "x"])
def test_a_long_text_that_is_no_range_is_known_as_such_in_linear_work(text):
    # a pattern with two ways to read a digit takes 50,000 squared steps, most of a minute
    assert RANGE.fullmatch(text) is None


@given(st.text("0123456789.e-+… log,[]", max_size=60))
def test_any_text_is_an_axis_or_one_sentence(text):
    sentence = ""
    try:
        axis = Axis.of(text)
        assert axis.size is None or axis.size > 10_000 or len(axis.grid()) == axis.size
    except Refusal as record:
        sentence = str(record)
    assert len(sentence) <= 300
