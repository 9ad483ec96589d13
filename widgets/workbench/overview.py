"""The cost of a comparison before its launch: parameters, seconds per step, warnings, circuits.

Shows previews of `qtha_lab.experiment.cost.preview`; computes nothing.
"""

from qtha_lab.cli.output import duration
from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.theme import method_of
from qtha_lab.studies.comparison import findings

from ..kit import controls as ui
from ..kit import styles


class Overview:
    """A table of the previews of the methods; show `overview.panel`."""

    def __init__(self):
        self.table = styles.text("", "qtha-table")
        self.simulation = styles.text("", "qtha-table")
        self.engines = styles.text("", "qtha-text")
        self.warnings = styles.text("", "qtha-banner")
        self.notes = styles.text("", "qtha-text")
        self.circuits = styles.text("", "qtha-code")
        self.circuits_fold = ui.Fold("Circuits", self.circuits)
        self.panel = styles.column(
            self.table,
            self.notes,
            self.warnings,
            self.simulation,
            self.engines,
            self.circuits_fold,
        )
        self.show({})

    def waiting(self) -> None:
        """Mark the displayed numbers as out of date."""
        self.panel.add_class("qtha-stale")

    def show(self, previews: dict) -> None:
        """Draw the previews, by method label."""
        self.panel.remove_class("qtha-stale")
        self.table.value = styles.html_table([_row(n, p) for n, p in previews.items()])
        self.notes.value = styles.lines(findings.sizes([_entry(n, p) for n, p in previews.items()]))
        warnings = [f"{n}: {w}" for n, p in previews.items() for w in p.warnings]
        self.warnings.value = styles.lines(warnings)
        self.warnings.visible = bool(warnings)
        simulated = {n: p.simulation for n, p in previews.items() if p.simulation}
        self.simulation.value = styles.html_table([_simulated(n, s) for n, s in simulated.items()])
        self.engines.value = styles.lines(_engines(simulated))
        circuits = {n: p.circuit_text for n, p in previews.items() if p.circuit_text}
        text = "\n\n".join(f"circuit of {name}\n{drawing}" for name, drawing in circuits.items())
        self.circuits.value = styles.code(text) if text else ""
        self.circuits_fold.visible = bool(text)


def _row(label: str, preview) -> dict[str, str]:
    share = preview.trainable_parameters / preview.base_parameters
    seconds = preview.seconds_per_step
    return {
        "method": shown(label),
        "trainable": f"{preview.trainable_parameters:,}",
        "of the model": f"{share:.2%}",
        "s / step": f"{seconds:.2g}",
        "steps": f"{preview.steps:,}",
        "in all": duration(seconds * preview.steps),
    }


def _simulated(label: str, simulation) -> dict[str, str]:
    """Return a row on the circuits of a step, with their gradients."""
    seconds, shots = simulation.seconds, simulation.shots
    return {
        "circuits of": shown(label),
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


def _entry(label: str, preview) -> dict:
    """Return a method in the format of `qtha_lab.studies.comparison.findings`."""
    count = preview.trainable_parameters
    return {"label": label, "method": method_of(label), "trainable_parameters": count}
