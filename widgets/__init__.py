"""Panels for notebooks: forms drawn from declarations, live curves, the workbench. Holds no mathematics.

Each panel ties functions of `qtha_lab` to controls; every one can be done without it. A checkout has this
package as `widgets`, an installed wheel as `qtha_lab.widgets`, which works in both: its own imports are relative.
"""

import importlib

_HOME = {
    "CircuitExplorer": "circuit_explorer",
    "Form": "form",
    "LivePlot": "live",
    "MpoExplorer": "mpo_explorer",
    "SpectrumExplorer": "spectrum_explorer",
    "UpdateExplorer": "update_explorer",
    "Watch": "watch",
    "Workbench": "workbench",
}

__all__ = [*_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
