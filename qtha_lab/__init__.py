"""qtha-lab: an interactive workbench for quantum parameter-efficient fine-tuning.

Importing it is quick; torch, transformers, peft and pennylane load when a name below is first used.
"""

import importlib
from typing import TYPE_CHECKING

from qtha_lab.logs import start_logging
from qtha_lab.moved import find_moved
from qtha_lab.peft_hook import register_with_peft
from qtha_lab.quiet import keep_quiet

if TYPE_CHECKING:  # what editors and type checkers see; `_ROOMS` says the same at run time
    from qtha_lab import ansatze, compare, figures, sweep
    from qtha_lab.adapters import QthaConfig, generate_into, load_adapter
    from qtha_lab.catalog import runs_table
    from qtha_lab.circuits import Circuit
    from qtha_lab.cost import preview
    from qtha_lab.experiment import (
        Comparison,
        Experiment,
        Federation,
        MethodChoice,
        Sweep,
        Training,
        Tuning,
    )
    from qtha_lab.federated import federate
    from qtha_lab.launching import launch
    from qtha_lab.models import load_model
    from qtha_lab.runs import attach, list_runs
    from qtha_lab.sharing import export_lora
    from qtha_lab.simulators import QuantumLayer, expval, expval_z, probs
    from qtha_lab.talking.speakers import Speakers
    from qtha_lab.tasks import load_task

__version__ = "0.3.0"

_ROOMS = {
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
    "export_lora": "sharing",
    "Experiment": "experiment",
    "Comparison": "experiment",
    "Federation": "experiment",
    "MethodChoice": "experiment",
    "Sweep": "experiment",
    "Training": "experiment",
    "Tuning": "experiment",
    "federate": "federated",
    "launch": "launching",
    "attach": "runs",
    "list_runs": "runs",
    "runs_table": "catalog",
    "Speakers": "talking.speakers",
    # whole rooms
    "ansatze": "",
    "compare": "",
    "figures": "",
    "preview": "",
    "sweep": "",
}

__all__ = [
    "Circuit",
    "Comparison",
    "Experiment",
    "Federation",
    "MethodChoice",
    "QthaConfig",
    "QuantumLayer",
    "Speakers",
    "Sweep",
    "Training",
    "Tuning",
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
    "list_runs",
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
find_moved()
register_with_peft()


def __getattr__(name: str):
    if name not in _ROOMS:
        raise AttributeError(f"module 'qtha_lab' has no attribute {name!r}")
    room = _ROOMS[name]
    if not room:
        return importlib.import_module(f"qtha_lab.{name}")
    return getattr(importlib.import_module(f"qtha_lab.{room}"), name)


def __dir__():
    return sorted(__all__)
