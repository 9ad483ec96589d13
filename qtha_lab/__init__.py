"""qtha-lab: an interactive workbench for quantum parameter-efficient fine-tuning.

Importing it is quick; torch, transformers, peft and pennylane load when a name below is first used.
"""

import importlib

from qtha_lab.quiet import keep_quiet

__version__ = "0.2.0"

_HOME = {
    "QthaConfig": "adapters",
    "load_adapter": "adapters",
    "load_model": "models",
    "load_task": "tasks",
    "expval_z": "simulators",
    "export_lora": "sharing",
    "Experiment": "experiment",
    "Comparison": "experiment",
    "MethodChoice": "experiment",
    "Training": "experiment",
    "launch": "runs",
    "attach": "runs",
    "list_runs": "runs",
}

__all__ = ["__version__", *_HOME]

keep_quiet()


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'qtha_lab' has no attribute {name!r}")
    return getattr(importlib.import_module(f"qtha_lab.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
