"""Panels for notebooks: forms built from declarations, live curves and the workbench.

The package holds no mathematics. Each panel ties functions of `qtha_lab` to controls and has a
headless equivalent. A checkout has this package as `widgets`, an installed wheel as
`qtha_lab.widgets`. Both work because its own imports are relative.
"""

import importlib
from typing import TYPE_CHECKING

from qtha_lab.core.optional import require_extra

if TYPE_CHECKING:
    from .explorers.ansatz_pair import AnsatzPair
    from .explorers.budget_bar import BudgetBar
    from .explorers.chip import Chip
    from .explorers.circuit_explorer import CircuitExplorer
    from .explorers.data_path import DataPath
    from .explorers.engine_explorer import EngineExplorer
    from .explorers.figure_bench import FigureBench
    from .explorers.fooling_machine import FoolingMachine
    from .explorers.landscape import Landscape
    from .explorers.method_map import MethodMap
    from .explorers.mpo_explorer import MpoExplorer
    from .explorers.rate_curve import RateCurve
    from .explorers.update_explorer import SpectrumExplorer, UpdateExplorer
    from .explorers.views import Views
    from .runs.live import LivePlot
    from .runs.log_view import LogView
    from .runs.runs_table import RunsTable
    from .workbench.chat import Chat
    from .workbench.comparison_watch import ComparisonWatch
    from .workbench.export import ExportPanel
    from .workbench.form import Form
    from .workbench.sweep_watch import SweepWatch
    from .workbench.watch import Watch
    from .workbench.workbench import Workbench

__all__ = [
    "AnsatzPair",
    "BudgetBar",
    "Chat",
    "Chip",
    "CircuitExplorer",
    "ComparisonWatch",
    "DataPath",
    "EngineExplorer",
    "ExportPanel",
    "FigureBench",
    "FoolingMachine",
    "Form",
    "Landscape",
    "LivePlot",
    "LogView",
    "MethodMap",
    "MpoExplorer",
    "RateCurve",
    "RunsTable",
    "SpectrumExplorer",
    "SweepWatch",
    "UpdateExplorer",
    "Views",
    "Watch",
    "Workbench",
]
_MODULES = {
    "AnsatzPair": "explorers.ansatz_pair",
    "Landscape": "explorers.landscape",
    "BudgetBar": "explorers.budget_bar",
    "Chip": "explorers.chip",
    "CircuitExplorer": "explorers.circuit_explorer",
    "ComparisonWatch": "workbench.comparison_watch",
    "DataPath": "explorers.data_path",
    "EngineExplorer": "explorers.engine_explorer",
    "FigureBench": "explorers.figure_bench",
    "FoolingMachine": "explorers.fooling_machine",
    "Form": "workbench.form",
    "ExportPanel": "workbench.export",
    "LivePlot": "runs.live",
    "LogView": "runs.log_view",
    "MethodMap": "explorers.method_map",
    "MpoExplorer": "explorers.mpo_explorer",
    "RateCurve": "explorers.rate_curve",
    "RunsTable": "runs.runs_table",
    "SpectrumExplorer": "explorers.update_explorer",
    "SweepWatch": "workbench.sweep_watch",
    "Chat": "workbench.chat",
    "UpdateExplorer": "explorers.update_explorer",
    "Views": "explorers.views",
    "Watch": "workbench.watch",
    "Workbench": "workbench.workbench",
}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra("lab", "A panel", "anywidget", "ipywidgets")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
