"""The filter of the table of runs: Python is the oracle of its meaning, and no text breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtha_lab.core.errors import Refusal
from qtha_lab.runs.table.filters import where
from qtha_lab.runs.table.frame import as_frame

NUMBERS = st.integers(-3, 9) | st.sampled_from([0.003, 4.5, 1e-3, 2.5e8])
WORDS = st.sampled_from(["qtha", "lora", "finished", "dead", "a b", "it's", ""])
ROWS = st.fixed_dictionaries(
    {"tags": st.lists(st.sampled_from(["best", "warm", "a b"]), unique=True)},
    optional={"method": WORDS, "state": WORDS, "r": NUMBERS, "eval_loss": NUMBERS, "pinned": st.booleans()},
)  # fmt: skip


def accepts(text, row):
    (answer,) = where(text, as_frame([{"r": None} | row]))
    return bool(answer)


def quoted(word: str) -> str:
    return f'"{word}"' if "'" in word or not word.isalpha() else word


def numeric(column, order, number):
    return (
        f"{column} {order} {number!r}",
        f"(row.get({column!r}) is not None and row[{column!r}] {order} {number!r})",
    )


def equal(column, sign, word):
    meaning = f"(row.get({column!r}) == {word!r})"
    return f"{column} {sign} {quoted(word)}", f"(not {meaning})" if sign == "!=" else meaning


def among(column, negated, words):
    values = ", ".join(map(quoted, words)) + ","
    negation = "not " if negated else ""
    return (
        f"{column} {negation}in ({values})",
        f"({negation}any(row.get({column!r}) == w for w in {words!r}))",
    )


COLUMNS_OF_NUMBERS, COLUMNS_OF_TEXT = (
    st.sampled_from(["r", "eval_loss"]),
    st.sampled_from(["method", "state"]),
)
TESTS = (
    st.builds(numeric, COLUMNS_OF_NUMBERS, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS)
    | st.builds(equal, COLUMNS_OF_TEXT, st.sampled_from(["=", "==", "!="]), WORDS)
    | st.builds(among, COLUMNS_OF_TEXT, st.booleans(), st.lists(WORDS, min_size=1, max_size=3))
    | st.sampled_from(["best", "warm", "a b"]).map(
        lambda tag: (f"{quoted(tag)} in tags", f"({tag!r} in row['tags'])")
    )
    | st.just(("pinned", "bool(row.get('pinned'))"))
)
EXPRESSIONS = st.recursive(
    TESTS,
    lambda inner: st.builds(lambda a, join, b: (f"({a[0]} {join} {b[0]})", f"({a[1]} {join} {b[1]})"),
                            inner, st.sampled_from(["and", "or"]), inner)
    | inner.map(lambda a: (f"not {a[0]}", f"(not {a[1]})")),
    max_leaves=8,
)  # fmt: skip


@given(EXPRESSIONS, ROWS)
def test_an_expression_means_what_the_same_words_mean_in_python(expression, row):
    text, meaning = expression
    assert accepts(text, row) is eval(meaning, {"row": row})


PIECES = (
    "method", "r", "=", "==", "!=", "<", ">=", "in", "not", "(", ")", ",", ":", "and", "or", "qtha",
    '"a"', "'", "3", "tags", "is", "lambda", "[", "]", ".", "1j", "-",
)  # fmt: skip


@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join), ROWS)
def test_any_text_is_a_filter_or_refused_in_one_sentence(text, row):
    try:
        answer = accepts(text, row)
    except Refusal as refused:
        answer = str(refused)
    assert isinstance(answer, bool) or "\n" not in answer


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("methd = qtha", "got 'methd'. Did you mean 'method'?"),
        (
            "r >= ",
            "A filter must consist of comparisons, got 'r >= '. Write for example: method ==",
        ),
        ("r = 2 method = qtha", "A filter must consist of comparisons, got 'r = 2 method = qtha'"),
        ("(r = 2", "A filter must consist of comparisons, got '(r = 2'"),
        ("r in 1", "A filter must consist of comparisons, got '1'"),
        ("tags is none", "A filter must consist of comparisons, got 'none'"),
        ("r + 1 > 2", "A filter must consist of comparisons, got 'r + 1'"),
        ("__import__('os')", """A filter must consist of comparisons, got "__import__('os')\""""),
        ("(" * 500 + "r", "A filter must consist of comparisons, got '(((("),
        ("r = 1 or " * 300 + "r = 2", "A filter must have at most 2,000 characters, got 2,705."),
    ],
)
def test_a_wrong_expression_is_one_sentence(text, sentence):
    with pytest.raises(Refusal) as refused:
        accepts(text, {})
    assert sentence in str(refused.value)


def test_a_number_may_stand_on_both_sides():
    assert accepts("2 < r <= 4", {"r": 4})
    assert not accepts("2 < r <= 4", {"r": 2})


def test_what_has_no_value_is_none_and_neither_below_nor_above():
    assert accepts("eval_loss = none", {})
    assert not accepts("eval_loss != none", {})
    assert not accepts("eval_loss < 5 or eval_loss >= 5", {})
    assert accepts("eval_loss != none", {"eval_loss": 0.0})


def test_words_of_a_run_are_compared_as_they_are_written():
    row = {"run": "20261125-101500-tiny", "note": "The Best one", "tags": ["best of all"]}
    assert accepts("run >= 20261125 and run < 20261126", row)
    assert accepts("best in note", row)
    assert accepts('"Best of all" in tags', row)
    assert not accepts("best in tags", row)
