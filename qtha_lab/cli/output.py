"""The command line as one object, to which each file of commands adds its own."""

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qtha_lab import __version__
from qtha_lab.cli.text_table import fold, text_table
from qtha_lab.core.io import printable, show

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from qtha_lab.runs.run import Run, Status
    from qtha_lab.studies.work import OnProgress

REFRESH_SECONDS = 0.1
app = typer.Typer(
    name="qtha-lab",
    help="Quantum parameter-efficient fine-tuning: QTHA against LoRA, from the shell.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(requested: bool) -> None:
    if requested:
        show(f"qtha-lab {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Quantum parameter-efficient fine-tuning: QTHA against LoRA, from the shell."""


UNLIMITED = 1_000_000  # characters per line


def print_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    show(json.dumps(value, indent=2))


def csv_line(cells: Sequence[Any]) -> str:
    """Return cells as one line of a CSV file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def page_width() -> int:
    """Return the characters per line: those of the terminal, or 80 without one."""
    return shutil.get_terminal_size((80, 24)).columns


def print_table(
    rows: Sequence[Sequence[str]], caption: str | None = None, page: int | None = None
) -> None:
    """Print rows of text below a heading row; columns of numbers are right-aligned.

    Args:
        rows: The first row is the heading.
        caption: A sentence below.
        page: Characters per line; the default is that of the terminal.
    """
    show(text_table(rows, caption, page or page_width()))


def print_text(text: str, prefix: str = "", page: int | None = None) -> None:
    """Print sentences in lines that fit the page, indented below a prefix.

    Example:
        >>> print_text("Sizes differ by 4 %.", prefix="- ", page=20)
        - Sizes differ by 4
          %.
    """
    lines = fold(printable(text, lines=True), max((page or page_width()) - len(prefix), 1))
    show(prefix + ("\n" + " " * len(prefix)).join(lines))


def progress() -> "Progress":
    """Return a live progress display on standard error, so that standard output stays clean."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task
    from rich.text import Text

    class Words(ProgressColumn):
        """Show text of a task without control characters and markup."""

        def __init__(self, form: str) -> None:
            self.form = form
            super().__init__()

        def render(self, task: Task) -> Text:
            return Text(printable(self.form.format(task=task)))

    class Bars(Progress):
        """Display without a thread, which would prevent that workers are forked."""

        due = 0.0

        def update(self, *task: Any, **fields: Any) -> None:
            super().update(*task, **fields)
            if console.is_terminal and time.monotonic() >= self.due:
                self.refresh()
                self.due = time.monotonic() + REFRESH_SECONDS

    console = Console(file=sys.stderr, markup=False, emoji=False)
    return Bars(
        Words("{task.description}"),
        BarColumn(bar_width=28),
        Words("{task.completed:>4.0f}/{task.total:<4.0f}"),
        Words("{task.fields[message]}"),
        console=console,
        auto_refresh=False,  # without a terminal only the final state is drawn
    )


def bar_per_run(
    bars: "Progress",
    title: "Callable[[Run], str]",
    message: "Callable[[Run, Status], str]" = lambda run, status: status.state,
) -> "OnProgress":
    """Return a callback of a study that shows a bar for each title."""
    by_title: dict[str, TaskID] = {}

    def show_run(run: "Run", status: "Status") -> None:
        name = title(run)
        if name not in by_title:
            by_title[name] = bars.add_task(name, total=status.steps, message="")
        text = f"{message(run, status)} {duration(status.seconds_left)}"
        bars.update(by_title[name], completed=status.step, message=text)

    return show_run


def duration(seconds: float | None) -> str:
    """Format a duration.

    Example:
        >>> duration(75), duration(8000), duration(None)
        ('1 min 15 s', '2 h 13 min', '')
    """
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
