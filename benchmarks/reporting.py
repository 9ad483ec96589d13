"""Tables of benches: printed, written as JSON, and as a Markdown page with their conditions."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Show = Callable[..., None]  # shows progress: finished parts, all parts, and a message
Row = tuple[str, ...]
Table = tuple[str, Sequence[Row]]  # caption, and rows below a heading row


def unseen(done: float, total: float, message: str = "") -> None:
    """Show no progress."""


def pipes(rows: Sequence[Row]) -> str:
    """Return rows below a heading row as a Markdown table; columns but the first are numbers."""
    heading, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *body])


def markdown(tables: Iterable[Table]) -> str:
    """Return captions and tables for a page."""
    return "\n\n".join(f"{caption}\n\n{pipes(rows)}".strip() for caption, rows in tables) + "\n"


def page_of(command: str, figures: dict[str, Any], tables: Iterable[Table]) -> str:
    """Return tables below the command, the date, the commit and the load of the machine."""
    from benchmarks.machine import load_text, short

    machine = figures["machine"]
    origin = (figures["date"], f"commit {short(figures['commit'])}", machine["cpu"])
    facts = ", ".join([*origin, load_text(machine["load_before"])])
    return f"`{command}`  \n{facts}\n\n{markdown(tables)}"


def report(
    figures: dict[str, Any],
    tables: Iterable[Table],
    json_file: Path | None,
    page_file: Path | None = None,
    command: str = "",
) -> None:
    """Print the tables of a bench; write figures and a page if files are named.

    Args:
        figures: All figures of the bench.
        tables: Its tables.
        json_file: File for the figures.
        page_file: File for the tables as Markdown.
        command: Command that the page states.
    """
    from qtha_lab.cli.output import print_table

    tables = list(tables)
    for caption, rows in tables:
        print_table(rows, caption=caption)
    texts = {
        json_file: lambda: json.dumps(figures, indent=2) + "\n",
        page_file: lambda: page_of(command, figures, tables),
    }
    for file, text in texts.items():
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text(), encoding="utf-8")
