"""The command line in this process, and its tables at 80 characters per line."""

import re

from typer.testing import CliRunner

from qtha_lab.cli import load_commands


def call(*words: str):
    return CliRunner().invoke(load_commands(), list(words), env={"COLUMNS": "200"})


PAGE, LONG = 80, 5_000
COMMAND = "  qtha-lab "  # to be copied as it is
HINT = {"with", "--wide"}  # beside the names of omitted columns
EDGES = re.compile(r"[\s│┃┏━┳┓┡╇┩└─┴┘,/(;]+")  # and the ends of options and folders


def words_of(text: str) -> set[str]:
    """Return the words of a text that no line break may divide."""
    return {word for word in EDGES.split(text) if not word.endswith("…")}


def check_narrow(narrow: str, wide: str) -> None:
    """Check that lines fit the page, and that the words of `narrow` are whole in `wide`."""
    for line in narrow.splitlines():
        is_path = line.startswith("in ") and line.count(" ") == 1
        assert len(line) <= PAGE or line.startswith(COMMAND) or is_path, line
    assert words_of(narrow) <= words_of(wide) | HINT, words_of(narrow) - words_of(wide)


def printed(*command: str, columns: int = PAGE) -> str:
    """Return what a command prints on a terminal of a width."""
    answer = CliRunner().invoke(load_commands(), list(command), env={"COLUMNS": str(columns)})
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer.stdout


def headings(table: str) -> list[str]:
    """Return the headings of the first table."""
    return [cell.strip() for cell in table.splitlines()[1].strip("┃").split("┃")]


def check_command(*command: str) -> str:
    """Check the tables of a command at 80 characters per line, and return its output."""
    narrow = printed(*command)
    assert "┃" in narrow or ":" in narrow
    check_narrow(narrow, printed(*command, columns=LONG))
    return narrow
