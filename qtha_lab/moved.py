"""Modules under more than one address: `import qtha_lab.calibration` still finds its module.

A table and one finder. An old address is the same module object as the new one; nothing is kept twice.
The panels are `qtha_lab.widgets` everywhere: a part of an installed wheel, the folder `widgets/` of a checkout.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType

from qtha_lab.paths import CHECKOUT, PACKAGE

_NEW = {  # the room that took a module in: its address there, and what it was called outside
    "simulators.cpu": {
        name: f"simulators.cpu_{name}"
        for name in [
            "angles",
            "engine",
            "kernel",
            "passes",
            "plan",
            "roofline",
            "sweeps",
            "vectors",
        ]
    }
    | {"compiled": "simulators.compiled"},
    "simulators.lightning": {
        name: f"simulators.lightning_{name}" for name in ["engine", "plan", "register", "walk"]
    },
    "simulators.device": {
        name: f"simulators.device_{name}"
        for name in ["cache", "engine", "jobs", "noise", "options", "plugins", "slopes", "tapes"]
    },
    "analysis.updates": {
        name: f"analysis.{name}"
        for name in (
            [
                "activations",
                "jacobians",
                "nonlinearity",
                "sketch",
                "spectrum",
                "subspaces",
                "tables",
                "views",
            ]
        )
    },
    "analysis.circuits": {
        name: f"analysis.{name}"
        for name in [
            "ansatz_profile",
            "circuit_trace",
            "entanglement",
            "entangling",
            "expressibility",
            "fourier",
            "gate_gradients",
            "gate_noise",
            "lie_algebra",
            "pauli_strings",
            "random_angles",
            "shot_noise",
            "trainability",
        ]
    },
    "analysis.networks": {
        name: f"analysis.{name}" for name in ["bonds", "decomposed", "factorisation"]
    },
    "cost": {
        "adapter": "analysis.adapter_cost",
        "circuit": "analysis.circuit_cost",
        "step": "analysis.cost",
        "shapes": "analysis.shapes",
        "processors": "analysis.hardware",
        "measured": "calibration",
        "preview": "preview",
    },
    "exercises": {"answers": "exercises.desk", "grading": "exercises.judge"},
    "figures.machinery": {
        name: f"figures.{name}"
        for name in [
            "browser",
            "canvas",
            "embed",
            "export",
            "figure",
            "labels",
            "look",
            "provenance",
            "registry",
            "still",
            "table",
            "theme",
            "ticks",
        ]
    },
}
MOVED = {"qtha_lab.adapters.peft_bridge": "qtha_lab.adapters.peft"} | {
    f"qtha_lab.{old}": f"qtha_lab.{room}.{name}"
    for room, names in _NEW.items()
    for name, old in names.items()
}


PANELS = "qtha_lab.widgets"


def address_of(name: str) -> str | None:
    """Where a module lies today, if not where its name says.

    Example:
        >>> address_of("qtha_lab.calibration")
        'qtha_lab.cost.measured'
        >>> address_of("qtha_lab.runs")
    """
    if name in MOVED:
        return MOVED[name]
    if f"{name}.".startswith(f"{PANELS}.") and _panels_are_beside_the_package():
        return name.removeprefix("qtha_lab.")
    return None


def _panels_are_beside_the_package() -> bool:
    """In a checkout; an installed wheel has them inside."""
    inside, beside = PACKAGE / "widgets", CHECKOUT / "widgets"
    return not (inside / "__init__.py").is_file() and (beside / "__init__.py").is_file()


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module that lies elsewhere, by its other address."""

    def find_spec(self, fullname, path=None, target=None):
        if address_of(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec) -> ModuleType:
        module = importlib.import_module(address_of(spec.name) or spec.name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run already; it keeps the name it has today."""
        spec = module.__spec__
        if spec is not None:
            module.__spec__ = spec.loader_state


def find_moved() -> None:
    """Let imports of such addresses find their modules from now on.

    First in line: the ordinary finder would load a panel a second time, from the folder of the first.
    """
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())
