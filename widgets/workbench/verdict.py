"""The verdict as a pane: figure of the differences, finding, next steps, table of results."""

from collections.abc import Callable, Mapping

import ipywidgets as ipw
import traitlets

from qtha_lab.core.method_styles import shown
from qtha_lab.studies.comparison.explain import NextStep

from ..figures.figure_widget import FigureWidget
from ..figures.saving import save_fold
from ..kit import boxes
from ..kit.fold import Fold
from ..runs.variants import MethodVariant
from .banner import in_page_terms
from .verdict_model import VerdictModel

MOST_STEPS = 4  # next steps with a button
MOST_COLUMNS = 5  # of the table in sight; a fold has all
FIRST = ("model", "task", "method", "parameters", "test loss", "eval loss", "seeds", "gap")
COLUMNS = {
    "gap": "loss on training rows minus loss on evaluation rows",
    "forgetting": "rise of the base model's own loss on general text",
    "scale": "alpha / r, the factor of the update",
}


class VerdictPane(VerdictModel, ipw.VBox):
    """The pane Compare; `brief` is the finding with its next steps for another pane.

    Attributes:
        alone: As in `FigureWidget`, of its figure.

    Args:
        launch: Launches or resumes the runs of a next step.
    """

    alone = traitlets.Bool(False)

    def __init__(self, launch: Callable[[NextStep], None]):
        self.launch, self.picture = launch, None
        self.first, self.sentences = (boxes.text("", "qtha-verdict") for _ in range(2))
        self.steps = boxes.row(css="qtha-steps")
        self.results = boxes.text("", "qtha-table")
        self.whole = boxes.text("", "qtha-table")
        self.remarks = boxes.text()
        self.forest = boxes.styled(ipw.VBox, css="qtha-forest")
        super().__init__(layout=boxes.layout())
        self.brief = boxes.column([self.first, self.steps], css="qtha-brief-verdict")
        more = Fold("All columns and notes", boxes.column([self.whole, self.remarks]))
        self.children = (self.forest, self.sentences, self.steps, self.results, more)
        boxes.classed(self, "qtha-column")
        self.observe(lambda _: self._show(), "revision")
        self._show()

    def _show(self) -> None:
        """Show the state of the model."""
        lead, others = boxes.lines([self.lead]), boxes.lines(self.others)
        has_finding = bool(self.sentence)
        self.first.value = f"<p><b>{lead}</b></p>" if has_finding else ""
        lead = f"<b>{lead}</b>" if has_finding or self.rows else lead
        self.sentences.value = f"<p>{lead}</p>" + (f"<p>{others}</p>" if others else "")
        steps = self.next_steps[:MOST_STEPS]
        boxes.put(self.steps, [self._button(step) for step in steps])
        boxes.show(self.brief, has_finding)
        self.results.value = short_table(self.rows, self.known)
        self.whole.value = explained_table(self.rows)
        self.remarks.value = boxes.lines(map(in_page_terms, self.notes))
        self._draw_forest()

    def _draw_forest(self) -> None:
        """Show the differences with their intervals, where any is claimed."""
        boxes.show(self.forest, self.has_figure)
        if not self.has_figure:
            return
        figure = self.figures["forest"]
        if self.picture is None:
            self.picture = FigureWidget(figure)
            traitlets.link((self, "alone"), (self.picture, "alone"))
            self.forest.children = (self.picture, save_fold(self))
        self.picture.show(figure)

    def _button(self, step: NextStep) -> ipw.Button:
        button = boxes.button(step.text, icon="arrow-right", tooltip=step.command)
        button.on_click(lambda _: self.launch(step))
        return button


def short_table(rows: list[dict[str, str]], known: Mapping[str, MethodVariant]) -> str:
    """Return the main columns of a table of results, with symbol and name of each method."""
    equal = equal_columns(rows)
    names = [name for name in (rows[0] if rows else ()) if name not in equal]
    first = [name for name in FIRST if name in names]
    chosen = [*first, *(name for name in names if name not in first)][:MOST_COLUMNS]
    kept = [name for name in names if name in chosen]
    page = _explained(boxes.html_table([{n: row[n] for n in kept} for row in rows]))
    for label, variant in known.items():
        cell = '<th scope="row">{}</th>'
        page = page.replace(
            cell.format(boxes.breakable(shown(label))), cell.format(variant.title_html)
        )
    return page


def explained_table(table: list[dict[str, str]]) -> str:
    """Return a table of results as HTML, with the meaning of its columns in tooltips.

    Columns with one value in all rows become a line below the table, which then fits its pane.
    """
    equal = equal_columns(table)
    page = _explained(
        boxes.html_table([{n: row[n] for n in row if n not in equal} for row in table])
    )
    if equal:
        words = "; ".join(f"{name} {value}" for name, value in equal.items())
        page += f'<p class="qtha-text">{boxes.lines([f"Equal in all rows: {words}."])}</p>'
    return page


def _explained(page: str) -> str:
    """Add the meaning of columns as tooltips."""
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
