"""Panels for notebooks: forms built from declarations, live curves and the workbench.

The package holds no mathematics. Each panel ties functions of `qtha_lab` to controls and has a
headless equivalent. A checkout has this package as `widgets`, an installed wheel as
`qtha_lab.widgets`. Both work because its own imports are relative.
"""

from typing import TYPE_CHECKING

from qtha_lab.core.lazy_names import lazy_names
from qtha_lab.core.libraries import require_extra

if TYPE_CHECKING:  # the declaration of the panels, read by `lazy_names`
    from .explorers.ansatz_pair import AnsatzPair as AnsatzPair
    from .explorers.budget_bar import BudgetBar as BudgetBar
    from .explorers.chip import Chip as Chip
    from .explorers.circuit_explorer import CircuitExplorer as CircuitExplorer
    from .explorers.data_path import DataPath as DataPath
    from .explorers.engine_explorer import EngineExplorer as EngineExplorer
    from .explorers.figure_bench import FigureBench as FigureBench
    from .explorers.fooling_machine import FoolingMachine as FoolingMachine
    from .explorers.landscape import Landscape as Landscape
    from .explorers.method_map import MethodMap as MethodMap
    from .explorers.mpo_explorer import MpoExplorer as MpoExplorer
    from .explorers.rate_curve import RateCurve as RateCurve
    from .explorers.update_explorer import SpectrumExplorer as SpectrumExplorer
    from .explorers.update_explorer import UpdateExplorer as UpdateExplorer
    from .explorers.views import Views as Views
    from .figures.figure_widget import FigureWidget as FigureWidget
    from .runs.live import LivePlot as LivePlot
    from .runs.runs_table import RunsTable as RunsTable
    from .workbench.chat import Chat as Chat
    from .workbench.export import ExportPanel as ExportPanel
    from .workbench.form import Form as Form
    from .workbench.sweep_watch import SweepWatch as SweepWatch
    from .workbench.watch import Watch as Watch
    from .workbench.workbench import Workbench as Workbench

_load, __dir__, __all__ = lazy_names(__name__)


def __getattr__(name: str):
    if name in __all__:
        require_extra("lab", "A panel", "anywidget", "ipywidgets")
    return _load(name)
