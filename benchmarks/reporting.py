"""Tables of benches: printed, written as JSON, and as Markdown for a page."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = tuple[str, ...]
Table = tuple[str, Sequence[Row]]  # caption, and rows below a heading row


def pipes(rows: Sequence[Sequence[str]], align: str = "") -> str:
    """Return rows below a heading row as a Markdown table.

    Args:
        rows: Text of each cell.
        align: "l" or "r" per column; the first column is left-aligned by default, others right.
    """
    rules = {"l": "---", "r": "---:"}
    marks = [rules[side] for side in align or "l" + "r" * (len(rows[0]) - 1)]
    heading, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, f"|{'|'.join(marks)}|", *body])


def markdown(tables: Iterable[Table]) -> str:
    """Return captions and tables for a page."""
    return "\n\n".join(f"{caption}\n\n{pipes(rows)}".strip() for caption, rows in tables) + "\n"


def report(figures: dict[str, Any], tables: Iterable[Table], file: Path | None) -> None:
    """Print the tables of a bench, and write its figures as JSON if a file is named."""
    from qtha_lab.cli.output import print_table

    for caption, rows in tables:
        print_table(rows, caption=caption)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
