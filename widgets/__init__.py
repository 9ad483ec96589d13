"""Panels for notebooks: forms drawn from declarations, live curves, the workbench. Holds no mathematics.

Each panel ties functions of `qtha_lab` to controls; every one can be done without it.
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
        raise AttributeError(f"module 'widgets' has no attribute {name!r}")
    return getattr(importlib.import_module(f"widgets.{_HOME[name]}"), name)
