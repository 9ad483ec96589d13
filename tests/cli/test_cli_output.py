"""Commands print their messages letter by letter, brackets included."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from support.command_line import call
from typer.main import get_command

from qtha_lab.cli import load_commands
from qtha_lab.cli.output import print_table, progress
from qtha_lab.core import call_syntax

MANY = settings(max_examples=150, deadline=None, derandomize=True, database=None)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
WORDS = st.text("abz[]()/\\:#=,'\" .-_0123%{}@", min_size=1, max_size=20)
VALUES = st.recursive(
    st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
LABELS = st.builds(call_syntax.call, NAMES, st.dictionaries(NAMES, VALUES, max_size=4))
MESSAGES = st.lists(
    WORDS
    | st.sampled_from(["[/data/x]", "[bold]", "[rank0]", "[link=file:///x]", ":smile:", "\\["]),
    max_size=6,
).map(" ".join)
SQUEEZED = re.compile(r"\s+")


def squeezed(text: str) -> str:
    """Without the spaces, which a table may fill up or break lines at."""
    return SQUEEZED.sub("", text)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "3000")


@MANY
@given(LABELS, MESSAGES)
def test_a_table_shows_every_label_and_message(label, message):
    with redirect_stdout(io.StringIO()) as printed:
        print_table(
            [("run", message or "message"), (label, message), ("r2", "1")],
            caption=f"{message} {label}",
        )
    text = squeezed(printed.getvalue())
    assert text.count(squeezed(label)) >= 2
    assert text.count(squeezed(message)) >= 3


@MANY
@given(LABELS, MESSAGES)
def test_a_bar_shows_every_label_and_message(label, message):
    with redirect_stderr(io.StringIO()) as printed, progress() as bars:
        bars.add_task(label, total=3, message=message)
    assert squeezed(label) in squeezed(printed.getvalue())
    assert squeezed(message) in squeezed(printed.getvalue())


def test_two_methods_that_differ_in_their_targets_are_told_apart(capsys):
    labels = [f"lora(r=2,target_modules=[{target}])" for target in ("q_proj", "v_proj")]
    print_table([("method", "eval loss"), *((label, "4.1") for label in labels)])
    printed = capsys.readouterr().out
    assert all(label in printed for label in labels)


def test_a_narrow_terminal_folds_a_label_and_loses_no_letter(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    label = "qtha(r=4,waist=16,target_modules=[q_proj,v_proj])"
    print_table([("method", "message"), (label, "no file in [/data/x]")])
    lines = capsys.readouterr().out.splitlines()
    assert all(cell_len(line) <= 40 for line in lines)
    first = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert first == label


def test_the_range_of_a_number_stands_below_it_and_a_message_stays_in_one_line(capsys):
    print_table([("loss", "message"), ("4.28 [4.25–4.31]", "error [rank0] here")])
    printed = capsys.readouterr().out
    assert "4.28 [" not in printed
    assert "error [rank0] here" in printed


def commands(group: typer.core.TyperGroup, words: tuple[str, ...] = ()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


@pytest.mark.parametrize(
    ("words", "command"),
    list(commands(get_command(load_commands()))),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_help_shows_every_sentence_in_full(words, command):
    printed = squeezed(call(*words, "--help").output.replace("│", ""))
    for parameter in command.params:
        assert squeezed(getattr(parameter, "help", None) or "") in printed, parameter.name


# what is too large is refused, not tried


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("ansatze", "show", "qtha", "--topology", "grid:99999x99999"),
            "topology must have at most 1,024 qubits, got 9,999,800,001 in 'grid:99999x99999'.",
        ),
        (
            ("methods", "--sizes", f"{'9' * 30},4"),
            "sizes must have the form IN,OUT, two whole numbers of 1",
        ),
        (
            ("run", "--method", "qtha(n_layers=100000)", "--dry-run"),
            "n_layers must be at most 1024",
        ),
        (
            ("runs", "x" * 5000),
            "Unknown run 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (
            ("stop", "x" * 5000),
            "Unknown run 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (("runs", "a\0b"), "Unknown run 'a\\x00b' in"),
    ],
)
def test_a_number_or_name_past_all_bounds_is_refused_in_a_sentence(words, sentence):
    answer = call(*words)
    assert isinstance(answer.exception, ValueError)
    assert sentence in str(answer.exception)
    assert len(str(answer.exception)) < 300
