"""The cost of a comparison before its launch: parameters, seconds per step, warnings, circuits.

Shows sizes at once, and previews of `qtha_lab.experiment.cost.preview` as they come; computes
nothing.
"""

from collections.abc import Mapping
from typing import Any

from qtha_lab.cli.output import duration
from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.theme import method_of
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import notes

from ..kit import boxes
from ..kit.fold import Fold
from ..runs.variants import variants

MOST_COLUMNS = 3  # methods of which each is a column


class Overview:
    """A table of the previews of the methods; show `overview.panel`."""

    def __init__(self):
        self.progress = boxes.text("", "qtha-text")
        self.table = boxes.text("", "qtha-table")
        self.simulation = boxes.text("", "qtha-table")
        self.engines = boxes.text("", "qtha-text")
        self.warnings = boxes.text("", "qtha-banner")
        self.notes = boxes.text("", "qtha-text")
        self.circuits = boxes.text("", "qtha-code")
        self.circuits_fold = Fold("Circuits", self.circuits)
        self.memory = boxes.text("", "qtha-text")
        self.panel = boxes.column(
            [
                self.progress,
                self.table,
                self.notes,
                self.warnings,
                self.simulation,
                self.engines,
                self.circuits_fold,
                self.memory,
            ]
        )
        self.show({}, {})

    def waiting(self) -> None:
        """Mark the displayed numbers as out of date."""
        self.panel.add_class("qtha-stale")

    def show(self, sizes: Mapping[str, Any], previews: Mapping[str, Any], rest: str = "") -> None:
        """Draw the sizes of all methods, and the previews so far, by method label.

        Args:
            sizes: Sizes of every method, or their previews.
            previews: Previews of the methods that have been timed.
            rest: Progress of the remaining previews; "" if there are all.
        """
        self.panel.remove_class("qtha-stale")
        names = {label: variant.name for label, variant in variants(sizes).items()}
        entries = [_entry(names[label], label, known) for label, known in sizes.items()]
        sizes = {names[label]: known for label, known in sizes.items()}
        previews = {names[label]: preview for label, preview in previews.items()}
        self.progress.value = boxes.lines([rest] if rest else [])
        rows = [_row(n, known, previews.get(n)) for n, known in sizes.items()]
        self.table.value = _table(rows)
        self.notes.value = boxes.lines(notes.sizes(results_frame(entries)))
        warnings = [f"{n}: {w}" for n, p in previews.items() for w in p.warnings]
        self.warnings.value = boxes.lines(warnings)
        boxes.show(self.warnings, bool(warnings))
        simulated = {n: p.simulation for n, p in previews.items() if p.simulation}
        self.simulation.value = _table([_simulated(n, s) for n, s in simulated.items()])
        self.engines.value = boxes.lines(_engines(simulated))
        circuits = {n: p.circuit_text for n, p in previews.items() if p.circuit_text}
        text = "\n\n".join(f"circuit of {name}\n{drawing}" for name, drawing in circuits.items())
        self.circuits.value = boxes.code(text) if text else ""
        boxes.show(self.circuits_fold, bool(text))


def _table(rows: list[dict[str, str]]) -> str:
    """Return a row per method, or a column per method where that fits beside the results."""
    few = len(rows) <= MOST_COLUMNS
    return boxes.html_table(boxes.transposed(rows) if few else rows)


def _row(label: str, sizes: Any, preview: Any) -> dict[str, str]:
    share = sizes.trainable_parameters / sizes.base_parameters
    seconds = None if preview is None else preview.seconds_per_step
    return {
        "method": label,
        "trainable": f"{sizes.trainable_parameters:,}",
        "of the model": f"{share:.2%}",
        "memory, about": sizes.memory,
        "s / step": "…" if seconds is None else f"{seconds:.2g}",
        "steps": f"{sizes.steps:,}",
        "in all": "…" if seconds is None else duration(seconds * sizes.steps),
    }


def _simulated(label: str, simulation) -> dict[str, str]:
    """Return a row on the circuits of a step, with their gradients."""
    seconds, shots = simulation.seconds, simulation.shots
    return {
        "circuits of": label,
        "circuits / step": f"{simulation.circuits:,}",
        "s / step": "not known" if seconds is None else f"{seconds:.2g}",
        "memory": simulation.memory,
        "shots / step": "exact" if shots is None else f"{shots:,}",
    }


def _engines(simulated: dict) -> list[str]:
    """Return the reasons for the chosen engines, each once."""
    reasons: dict[str, list[str]] = {}
    for label, simulation in simulated.items():
        reasons.setdefault(f"Engine {simulation.engine}, {simulation.why}", []).append(label)
    return [f"{reason} ({', '.join(labels)})." for reason, labels in reasons.items()]


def _entry(name: str, label: str, preview) -> dict:
    """Return a method in the format of `qtha_lab.studies.comparison.notes`.

    Args:
        name: Name of the variant, without a title of the user.
        label: Label of the method.
        preview: Its sizes.
    """
    count, title = preview.trainable_parameters, shown(label) != label
    entry = {"label": label if title else name, "method": method_of(label)}
    return {**entry, "trainable_parameters": count}
