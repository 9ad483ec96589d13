"""The finding on the ticked runs in words, the next step as a button, and the table of results.

The sentences are those of `qtha-lab explain`; `qtha_lab.studies.comparison.explain` makes them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.runs.launch_order import in_launch_order
from qtha_lab.runs.run import Run
from qtha_lab.runs.table import frame, query
from qtha_lab.runs.table.columns import column_text, worth_showing
from qtha_lab.studies import comparison
from qtha_lab.studies.comparison.differences import forest_of
from qtha_lab.studies.comparison.explain import Findings, NextStep, change, explain

from ..figures.figure_widget import FigureWidget
from ..figures.save_figure import save_fold
from ..kit import controls, styles
from .history import RunGroup, each_once, is_comparison
from .page_terms import in_page_terms

EMPTY = "Tick runs in the table below to compare them, or press Launch."
MOST_STEPS = 4  # next steps with a button
MOST_EXPLAINED = 60  # runs; more would take seconds
MOST_ROWS = 24
COLUMNS = {
    "gap": "loss on training rows minus loss on evaluation rows",
    "forgetting": "rise of the base model's own loss on general text",
    "scale": "alpha / r, the factor of the update",
}
SEVERAL = (
    "These runs differ in more than method and seed. A row is the mean over runs that differ in "
    "their seed alone."
)
AGAIN = "{} with the method and seed of a newer one left out: a repetition is no further seed."


class VerdictPane(controls.Box):
    """The pane Compare: finding, next steps, table and notes; renew by `await verdict.renew(runs)`.

    Args:
        launch: Launches or resumes the runs of a next step.
    """

    def __init__(self, launch: Callable[[NextStep], None]):
        self.launch = launch
        # label of the last step, the findings before it, and their runs
        self.continued: tuple[str, Findings, set[str]] | None = None
        self.sentences = styles.text("", "qtha-verdict")
        self.steps = styles.row(css="qtha-steps")
        self.results = styles.text("", "qtha-table")
        self.notes = styles.text("", "qtha-text qtha-notes")
        self.explained: Findings | None = None
        self.empty()
        self.forest = styles.column()
        notes = controls.Fold("Notes on these runs", self.notes)
        super().__init__([self.sentences, self.steps, self.results, self.forest, notes])
        self.add_class("qtha-column")

    def empty(self, reason: str = EMPTY) -> None:
        """Show the reason for an empty pane."""
        self.sentences.value = f"<p>{styles.lines([reason])}</p>"
        self.steps.children = ()
        self.results.value = self.notes.value = ""

    async def renew(self, runs: Sequence[Run]) -> None:
        """Compute the finding and the table of runs in a thread, and show both."""
        runs = list(runs)
        if not runs:
            return self.empty()
        self._show(runs, *await asyncio.to_thread(_findings, runs))

    def expect(self, step: NextStep, runs: Sequence[Run]) -> None:
        """State the change of the finding when the runs of a next step have ended.

        Args:
            step: Launched step.
            runs: Runs that it continues.
        """
        if self.explained:
            self.continued = step.label, self.explained, {run.id for run in runs}

    def renew_now(self, runs: Sequence[Run]) -> None:
        """Compute the finding and the table of runs, and show both."""
        if runs:
            self._show(runs, *_findings(list(runs)))

    def _show(
        self,
        runs: Sequence[Run],
        explained: Findings | None,
        table: list[dict[str, str]],
        notes: list[str],
    ) -> None:
        self.explained = explained
        found = explained.sentences if explained else [_too_many(runs)]
        first, *others = found or ["No run has ended yet."]
        others = [*self._changes(runs, explained), *others]
        rest = f"<p>{styles.lines(others)}</p>" if others else ""
        self.sentences.value = f"<p><b>{styles.lines([first])}</b></p>{rest}"
        next_steps = explained.next_steps[:MOST_STEPS] if explained else []
        self.steps.children = tuple(self._button(step) for step in next_steps)
        self._draw_forest()
        self.results.value = explained_table(table)
        self.notes.value = styles.lines(map(in_page_terms, notes))

    def _changes(self, runs: Sequence[Run], explained: Findings | None) -> list[str]:
        """State what the last step changed, once the runs before and after it have ended."""
        if self.continued is None or explained is None:
            return []
        label, before, continued = self.continued
        is_complete = continued < {run.id for run in runs} or not continued
        if not is_complete or not all(run.status().ended for run in runs):
            return []
        return [change(before, explained, label)]

    def _draw_forest(self) -> None:
        """Show the differences with their intervals, where any is claimed."""
        figures = self.figures
        self.forest.visible = bool(figures)
        if not figures:
            return
        if self.forest.children:
            self.forest.children[0].show(figures["forest"])
        else:
            self.forest.children = (FigureWidget(figures["forest"]), save_fold(self))

    @property
    def sentence(self) -> str:
        """The first finding; "" before there is one."""
        found = self.explained.sentences if self.explained else []
        return found[0] if found else ""

    @property
    def figures(self) -> dict[str, Figure]:
        """The differences with their intervals as a figure, if any is claimed."""
        claims = self.explained.claims if self.explained else []
        if not claims:
            return {}
        return {"forest": forest_of([claim.plain() for claim in claims])}

    def _button(self, step: NextStep) -> controls.Button:
        button = controls.Button(step.text, icon="arrow-right", tooltip=step.command)
        button.on_click(lambda _: self.launch(step))
        return button


def _findings(runs: list[Run]) -> tuple[Findings | None, list[dict[str, str]], list[str]]:
    """Return the finding on runs, their table and notes on the table."""
    explained = explain(runs) if len(runs) <= MOST_EXPLAINED else None
    if not is_comparison(runs):
        return explained, rows_of(runs)[:MOST_ROWS], [SEVERAL]
    once = in_launch_order(each_once(runs))
    summary = comparison.summarise_runs(RunGroup(tuple(once)).trusted, once)
    again = len(runs) - len(once)
    repeats = [AGAIN.format(f"{again} run{'s' if again > 1 else ''}")] if again else []
    if not summary["runs"]:
        return explained, [], repeats
    return explained, comparison.rows(summary), [*repeats, *summary["notes"]]


def _too_many(runs: Sequence[Run]) -> str:
    return f"{len(runs)} runs are ticked; a finding in words takes at most {MOST_EXPLAINED}."


def explained_table(table: list[dict[str, str]]) -> str:
    """Return a table of results as HTML, with the meaning of its columns in tooltips.

    Columns with one value in all rows become a line below the table, which then fits its pane.
    """
    equal = equal_columns(table)
    page = styles.html_table([{n: row[n] for n in row if n not in equal} for row in table])
    if equal:
        words = "; ".join(f"{name} {value}" for name, value in equal.items())
        page += f'<p class="qtha-text">{styles.lines([f"Equal in all rows: {words}."])}</p>'
    for name, meaning in COLUMNS.items():
        page = page.replace(f'<th scope="col">{name}', f'<th scope="col" title="{meaning}">{name}')
    return page


def equal_columns(table: list[dict[str, str]]) -> dict[str, str]:
    """Return the columns with one value in all rows, except those that name the row.

    Example:
        >>> equal_columns([{"method": "qtha", "seeds": "1"}, {"method": "lora", "seeds": "1"}])
        {'seeds': '1'}
    """
    if len(table) < 2:
        return {}
    first, *_ = names = list(table[0])
    return {
        name: table[0][name]
        for name in names
        if name not in (first, "method") and len({row[name] for row in table}) == 1
    }


def rows_of(runs: Iterable[Run]) -> list[dict[str, str]]:
    """Format runs of several launches as rows, seeds grouped, with their differing settings."""
    groups = query(frame(runs), sort="eval_loss", group="seeds")
    names = worth_showing(groups)
    rows = groups.to_dict("records")
    return [{name: column_text(row, name) for name in names} for row in rows]
