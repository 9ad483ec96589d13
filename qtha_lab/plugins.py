"""Public API for plugins: the classes and decorators that a plugin imports.

    from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting

A plugin is a Python file or an importable module whose decorated members register themselves. An
experiment (`plugins: [mine.py]`) or `--plugin` names it. Entry points of installed packages are
discovered automatically (`qtha_lab.methods`, `qtha_lab.circuits.ansatze`, `qtha_lab.tasks`,
`qtha_lab.figures`, `qtha_lab.engines`, `qtha_lab.gates`, `qtha_lab.bits`,
`qtha_lab.adapters.heads`). A plugin is code and runs with your rights: use only plugins that you
trust.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtha_lab.adapters.heads import Head, head
    from qtha_lab.adapters.method import Change, Control, Layer, TensorSpec
    from qtha_lab.adapters.peft import AdapterConfig, RankConfig, method
    from qtha_lab.circuits import Angle, Circuit, Gate, GateKind, Readout, gate_kind
    from qtha_lab.circuits.ansatze.encoding import encoded
    from qtha_lab.circuits.ansatze.registry import ansatz
    from qtha_lab.core.errors import Refusal
    from qtha_lab.core.method_styles import MethodStyle
    from qtha_lab.core.plugin_loading import fingerprints, load_plugins
    from qtha_lab.core.settings import setting
    from qtha_lab.figures.machinery.figure import Figure
    from qtha_lab.figures.machinery.registry import figure_function
    from qtha_lab.figures.machinery.table import Table
    from qtha_lab.models.quantisation.schemes import Rounding, bits
    from qtha_lab.simulators import expval, expval_z, probs
    from qtha_lab.simulators.registry import Engine, engine
    from qtha_lab.tasks.registry import question_and_answer, task

_ADDRESSES = {
    "AdapterConfig": "adapters.peft",
    "Angle": "circuits",
    "Change": "adapters.method",
    "Circuit": "circuits",
    "Control": "adapters.method",
    "Engine": "simulators.registry",
    "Figure": "figures.machinery.figure",
    "Gate": "circuits",
    "GateKind": "circuits",
    "Head": "adapters.heads",
    "Layer": "adapters.method",
    "MethodStyle": "core.method_styles",
    "Readout": "circuits",
    "RankConfig": "adapters.peft",
    "Refusal": "core.errors",
    "Rounding": "models.quantisation.schemes",
    "Table": "figures.machinery.table",
    "TensorSpec": "adapters.method",
    "ansatz": "circuits.ansatze.registry",
    "bits": "models.quantisation.schemes",
    "encoded": "circuits.ansatze.encoding",
    "engine": "simulators.registry",
    "expval": "simulators",
    "expval_z": "simulators",
    "figure_function": "figures.machinery.registry",
    "fingerprints": "core.plugin_loading",
    "head": "adapters.heads",
    "gate_kind": "circuits",
    "load_plugins": "core.plugin_loading",
    "method": "adapters.peft",
    "probs": "simulators",
    "question_and_answer": "tasks.registry",
    "setting": "core.settings",
    "task": "tasks.registry",
}

__all__ = [
    "AdapterConfig",
    "Angle",
    "Change",
    "Circuit",
    "Control",
    "Engine",
    "Figure",
    "Gate",
    "GateKind",
    "Head",
    "Layer",
    "MethodStyle",
    "RankConfig",
    "Readout",
    "Refusal",
    "Rounding",
    "Table",
    "TensorSpec",
    "ansatz",
    "bits",
    "encoded",
    "engine",
    "expval",
    "expval_z",
    "figure_function",
    "fingerprints",
    "gate_kind",
    "head",
    "load_plugins",
    "method",
    "probs",
    "question_and_answer",
    "setting",
    "task",
]


def __getattr__(name: str):
    if name not in _ADDRESSES:
        raise AttributeError(f"module 'qtha_lab.plugins' has no attribute {name!r}")
    return getattr(importlib.import_module(f"qtha_lab.{_ADDRESSES[name]}"), name)
