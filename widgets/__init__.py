"""Panels for notebooks: forms drawn from declarations, live curves, the workbench. Holds no mathematics.

Each panel ties functions of `qtha_lab` to controls; what each does can be done without it. A checkout has this
package as `widgets`, an installed wheel as `qtha_lab.widgets`, which works in both: its own imports are relative.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .circuit_explorer import CircuitExplorer
    from .comparison_watch import ComparisonWatch
    from .engine_explorer import EngineExplorer
    from .form import Form
    from .leave import Leave
    from .live import LivePlot
    from .log_view import LogView
    from .mpo_explorer import MpoExplorer
    from .runs_table import RunsTable
    from .sweep_watch import SweepWatch
    from .talk import Talk
    from .update_explorer import SpectrumExplorer, UpdateExplorer
    from .views import Views
    from .watch import Watch
    from .workbench import Workbench

__all__ = [
    "CircuitExplorer",
    "ComparisonWatch",
    "EngineExplorer",
    "Form",
    "Leave",
    "LivePlot",
    "LogView",
    "MpoExplorer",
    "RunsTable",
    "SpectrumExplorer",
    "SweepWatch",
    "Talk",
    "UpdateExplorer",
    "Views",
    "Watch",
    "Workbench",
]
_MODULES = {
    "CircuitExplorer": "circuit_explorer",
    "ComparisonWatch": "comparison_watch",
    "EngineExplorer": "engine_explorer",
    "Form": "form",
    "Leave": "leave",
    "LivePlot": "live",
    "LogView": "log_view",
    "MpoExplorer": "mpo_explorer",
    "RunsTable": "runs_table",
    "SpectrumExplorer": "update_explorer",
    "SweepWatch": "sweep_watch",
    "Talk": "talk",
    "UpdateExplorer": "update_explorer",
    "Views": "views",
    "Watch": "watch",
    "Workbench": "workbench",
}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
