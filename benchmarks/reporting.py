"""What every benchmark's command does.

Read sizes, and write the figures as JSON beside the printed table.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.core.errors import Refusal

JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write all figures here.")]


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Whole numbers from `4,6,8`.

    Raises:
        Refusal: If they are not.
    """
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise Refusal(f"{name} must be whole numbers such as 4,6,8, not {text!r}") from None


def write_json(figures: dict, file: Path | None) -> None:
    """Write the figures to a file, whose folder is made; nothing where no file is named."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(figures, indent=2) + "\n")


def pipes(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, the first the heading, as a table of Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(rows[0]) - 1), *lines[1:]])
