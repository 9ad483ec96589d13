"""A form that predicts a text with the models of ticked runs, one below the other.

Runs the command `qtha-lab predict` in processes. The headless equivalent is `run.predict(rows)`.
"""

from collections.abc import Iterable, Sequence

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json
from qtha_lab.runs.run import load_run

from ..kit import boxes
from ..kit.loop import Background
from ..kit.static_output import StaticOutput
from ..runs.variants import variants
from .export import COMMAND, output_of


class Predict(StaticOutput, ipw.VBox):
    """A form of predictions for the last line of a cell, alone or in any box.

    Args:
        runs: Ids of runs whose models predict, as the trait.
        command: Command that starts qtha-lab.

    Example:
        >>> predict = Predict(["20261124-153012-tiny-qa-qtha-s0-1a2b"])  # doctest: +SKIP
        >>> predict.text.value = "A text."  # doctest: +SKIP
        >>> await predict.predict()  # doctest: +SKIP
    """

    runs = traitlets.Tuple()

    def __init__(self, runs: Iterable[str] = (), command: Sequence[str] = COMMAND):
        super().__init__(layout=boxes.layout())
        self.command, self.rows = command, []
        self.error = boxes.ErrorText()
        self.background = Background(self.error.report)
        tip = "A text. Where a task has two inputs, each on a line of its own."
        self.text = boxes.styled(
            ipw.Textarea, description="text", placeholder=tip, rows=2, continuous_update=False
        )
        self.button = boxes.button("Predict", icon="tag", button_style="primary")
        self.button.on_click(lambda _: self.background.start("predict", self.predict))
        self.state, self.table = boxes.text(), boxes.text("", "qtha-table qtha-words")
        row = boxes.row([self.button, self.state])
        self.children = (self.text, row, self.error.panel, self.table)
        boxes.classed(self, "qtha-page", "qtha-column", "qtha-predict")
        self.runs = tuple(runs)

    async def predict(self) -> None:
        """Predict the text with each run, and show a row per run."""
        inputs = [line.strip() for line in self.text.value.splitlines() if line.strip()]
        if not self.runs:
            raise Refusal("No run to predict with is ticked.")
        if not inputs:
            raise Refusal("The text is empty.")
        self.error.show("")
        self.button.disabled, self.rows = True, []
        known = variants(load_run(run).experiment.method.label for run in self.runs)
        try:
            for run in map(load_run, self.runs):
                name = f"{known[run.experiment.method.label].name} · seed {run.experiment.seed}"
                self.state.value = boxes.lines([f"Predicting with {name} …"])
                words = ["predict", str(run.path), *inputs, "--json"]
                result = parse_json(await output_of([*self.command, *words]))
                self.rows.append({"run": name, **_columns(result)})
                self.table.value = boxes.html_table(self.rows)
        finally:
            self.state.value, self.button.disabled = "", False

    def still(self) -> dict[str, str]:
        """Return the text and the predictions."""
        lines = [": ".join(row.values()) for row in self.rows]
        return {"text/plain": "\n".join([self.text.value, *lines])}


def _columns(prediction: dict) -> dict[str, str]:
    """Return a prediction as cells.

    Example:
        >>> _columns({"label": "good", "probability": 0.934, "probabilities": {}})
        {'label': 'good', 'probability': '0.934'}
    """
    cells = {name: value for name, value in prediction.items() if name != "probabilities"}
    return {n: f"{v:.4g}" if isinstance(v, float) else str(v) for n, v in cells.items()}
