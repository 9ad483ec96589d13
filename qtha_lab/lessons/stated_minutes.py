"""Minutes that a person needs for a lesson, computed from its notebook.

The factors are estimates, not measurements of readers.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.registry import exercises

WORDS, CODE_LINES = 150, 12  # read in a minute
PREDICTION, EXPLORER = 1.5, 4.0  # minutes for each
STEP = 5  # minutes; the sum is rounded up
STATED = re.compile(r"\*\*Time:\*\* (\d+) minutes")
COMPUTING = re.compile(r"of which (?:less than |about )?(\d+)")
PANELS = (
    "BudgetBar|DataPath|RateCurve|FoolingMachine|AnsatzPair|Landscape|MethodMap|Chip|FigureBench"
)
PANEL = re.compile(rf"\b(?:\w+Explorer|{PANELS})\(")
DESK = re.compile(r'(check|hint|solution|predict|reveal|build)\("')

Cell = Mapping[str, Any]


def minutes_needed(cells: Sequence[Cell], lesson: int, machine_minutes: float = 0.0) -> int:
    """Return the minutes that a lesson takes, rounded up to five.

    Args:
        cells: Cells of the notebook, with `cell_type` and `source`; folded code is not read.
        lesson: Number of the lesson, whose exercises and builds state their minutes.
        machine_minutes: Minutes of computing on the toy model.

    Example:
        >>> cells = [{"cell_type": "markdown", "source": "word " * 1500}]
        >>> minutes_needed(cells, lesson=99), minutes_needed(cells, 99, machine_minutes=2)
        (10, 15)
    """
    tasks = [*exercises(), *BUILDS.values()]
    solving = sum(task.minutes for task in tasks if task.number.split(".")[0] == str(lesson))
    read = [c for c in cells if not c.get("metadata", {}).get("jupyter", {}).get("source_hidden")]
    sources = [("code" if c["cell_type"] == "code" else "text", _source(c)) for c in read]
    words = sum(len(source.split()) for kind, source in sources if kind == "text")
    code = [source for kind, source in sources if kind == "code"]
    lines = sum(bool(line.strip()) for of in code if not DESK.match(of) for line in of.splitlines())
    predictions = sum(source.count('predict("') for source in code)
    panels = sum(bool(PANEL.search(source)) for source in code)
    reading = words / WORDS + lines / CODE_LINES + PREDICTION * predictions + EXPLORER * panels
    return math.ceil((solving + reading + machine_minutes) / STEP) * STEP


def stated_minutes(cells: Sequence[Cell]) -> int:
    """Return the minutes that the first cell of a lesson states.

    Raises:
        Refusal: If it states none.
    """
    found = STATED.search(_source(cells[0])) if cells else None
    if found is None:
        raise Refusal(
            "The first cell of a lesson has no time. Write one, as `**Time:** 60 minutes`."
        )
    return int(found[1])


def computing_minutes(cells: Sequence[Cell]) -> int:
    """Return the stated minutes of computing on the toy model, or 0."""
    found = COMPUTING.search(_source(cells[0])) if cells else None
    return int(found[1]) if found else 0


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook file."""
    return read_json(notebook)["cells"]


def _source(cell: Cell) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
