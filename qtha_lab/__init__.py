"""qtha-lab: an interactive workbench for quantum parameter-efficient fine-tuning.

The import is fast: torch, transformers, peft and pennylane load at the first use of a name below.
"""

import importlib
from typing import TYPE_CHECKING

from qtha_lab.core.library_logs import keep_quiet
from qtha_lab.core.logging_setup import start_logging
from qtha_lab.core.panel_import import install_panel_finder
from qtha_lab.core.peft_hook import register_with_peft

if TYPE_CHECKING:  # for editors and type checkers; `_ADDRESSES` is the run-time equivalent
    from qtha_lab import figures
    from qtha_lab.adapters import QthaConfig, generate_into, load_adapter
    from qtha_lab.adapters.prequant import PrequantConfig
    from qtha_lab.adapters.qpa import QpaConfig
    from qtha_lab.adapters.qtha_gradient import QthaGradientConfig
    from qtha_lab.adapters.quanta import QuantaConfig
    from qtha_lab.adapters.quantum_peft import QuantumPeftConfig
    from qtha_lab.adapters.quantum_train import QuantumTrainConfig
    from qtha_lab.adapters.registry import method_names as list_methods
    from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
    from qtha_lab.circuits.ansatze import names as list_ansatze
    from qtha_lab.experiment import (
        Comparison,
        Experiment,
        Federation,
        MethodChoice,
        Sweep,
        Training,
        Tuning,
    )
    from qtha_lab.experiment.cost import preview
    from qtha_lab.models import load_model
    from qtha_lab.models import model_names as list_models
    from qtha_lab.runs.chat.models import ChatModels
    from qtha_lab.runs.export.lora_fit import export_lora
    from qtha_lab.runs.run import attach, list_runs
    from qtha_lab.runs.table import runs_table
    from qtha_lab.simulators import QuantumLayer, expval, expval_z, probs
    from qtha_lab.simulators import engine_names as list_engines
    from qtha_lab.studies import comparison as compare
    from qtha_lab.studies import sweep
    from qtha_lab.studies.federated import federate
    from qtha_lab.studies.launch import launch
    from qtha_lab.tasks import load_task
    from qtha_lab.tasks import task_names as list_tasks
    from qtha_lab.widgets import Workbench  # pyright: ignore[reportMissingImports]

__version__ = "0.3.0"

_ADDRESSES = {  # module, ":module" for the module itself, "module:name" for another name there
    "Angle": "circuits",
    "Gate": "circuits",
    "PrequantConfig": "adapters.prequant",
    "QpaConfig": "adapters.qpa",
    "QthaGradientConfig": "adapters.qtha_gradient",
    "QuantaConfig": "adapters.quanta",
    "QuantumPeftConfig": "adapters.quantum_peft",
    "QuantumTrainConfig": "adapters.quantum_train",
    "Workbench": "widgets",
    "list_ansatze": "circuits.ansatze:names",
    "list_engines": "simulators:engine_names",
    "list_methods": "adapters.registry:method_names",
    "list_models": "models:model_names",
    "list_tasks": "tasks:task_names",
    "QthaConfig": "adapters",
    "generate_into": "adapters",
    "load_adapter": "adapters",
    "load_model": "models",
    "load_task": "tasks",
    "Circuit": "circuits",
    "expval": "simulators",
    "expval_z": "simulators",
    "probs": "simulators",
    "QuantumLayer": "simulators",
    "export_lora": "runs.export.lora_fit",
    "Experiment": "experiment",
    "Comparison": "experiment",
    "Federation": "experiment",
    "MethodChoice": "experiment",
    "Sweep": "experiment",
    "Training": "experiment",
    "Tuning": "experiment",
    "federate": "studies.federated",
    "launch": "studies.launch",
    "attach": "runs.run",
    "list_runs": "runs.run",
    "runs_table": "runs.table",
    "ChatModels": "runs.chat.models",
    # whole packages
    "ansatze": ":circuits.ansatze",
    "compare": ":studies.comparison",
    "figures": ":figures",
    "preview": ":experiment.cost.preview",
    "sweep": ":studies.sweep",
}

__all__ = [
    "Angle",
    "ChatModels",
    "Circuit",
    "Comparison",
    "Experiment",
    "Federation",
    "Gate",
    "MethodChoice",
    "PrequantConfig",
    "QpaConfig",
    "QthaConfig",
    "QthaGradientConfig",
    "QuantaConfig",
    "QuantumLayer",
    "QuantumPeftConfig",
    "QuantumTrainConfig",
    "Sweep",
    "Training",
    "Tuning",
    "Workbench",
    "__version__",
    "ansatze",
    "attach",
    "compare",
    "export_lora",
    "expval",
    "expval_z",
    "federate",
    "figures",
    "generate_into",
    "launch",
    "list_ansatze",
    "list_engines",
    "list_methods",
    "list_models",
    "list_runs",
    "list_tasks",
    "load_adapter",
    "load_model",
    "load_task",
    "preview",
    "probs",
    "runs_table",
    "sweep",
]

keep_quiet()
start_logging()
install_panel_finder()
register_with_peft()


def __getattr__(name: str):
    if name not in _ADDRESSES:
        raise AttributeError(f"module 'qtha_lab' has no attribute {name!r}")
    module, _, other = _ADDRESSES[name].partition(":")
    loaded = importlib.import_module(f"qtha_lab.{module or other}")
    return getattr(loaded, other or name) if module else loaded


def __dir__():
    return sorted(__all__)
