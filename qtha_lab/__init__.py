"""qtha-lab: an interactive workbench for quantum parameter-efficient fine-tuning.

The import is fast: torch, transformers, peft and pennylane load at the first use of a name below.
"""

from typing import TYPE_CHECKING

from qtha_lab.core.lazy_names import lazy_names
from qtha_lab.core.libraries import keep_quiet
from qtha_lab.core.logging_setup import start_logging
from qtha_lab.core.panel_import import install_panel_finder
from qtha_lab.core.patches import register_after_peft

if TYPE_CHECKING:  # the declaration of the public names, read by `lazy_names`
    from qtha_lab import figures as figures
    from qtha_lab.adapters import QthaConfig as QthaConfig
    from qtha_lab.adapters import get_method as get_method
    from qtha_lab.adapters import load_adapter as load_adapter
    from qtha_lab.adapters.lora_xs import LoraXsConfig as LoraXsConfig
    from qtha_lab.adapters.prequant import PrequantConfig as PrequantConfig
    from qtha_lab.adapters.qpa import QpaConfig as QpaConfig
    from qtha_lab.adapters.qtha_gradient import QthaGradientConfig as QthaGradientConfig
    from qtha_lab.adapters.qtha_shared import QthaSharedConfig as QthaSharedConfig
    from qtha_lab.adapters.quanta import QuantaConfig as QuantaConfig
    from qtha_lab.adapters.quantum_adapter import QuantumAdapterConfig as QuantumAdapterConfig
    from qtha_lab.adapters.quantum_peft import QuantumPeftConfig as QuantumPeftConfig
    from qtha_lab.adapters.quantum_train import QuantumTrainConfig as QuantumTrainConfig
    from qtha_lab.adapters.registry import method_names as list_methods  # noqa: F401
    from qtha_lab.circuits import Angle as Angle
    from qtha_lab.circuits import Circuit as Circuit
    from qtha_lab.circuits import Gate as Gate
    from qtha_lab.circuits import ansatze as ansatze
    from qtha_lab.circuits.ansatze import names as list_ansatze  # noqa: F401
    from qtha_lab.experiment import Comparison as Comparison
    from qtha_lab.experiment import Distillation as Distillation
    from qtha_lab.experiment import Experiment as Experiment
    from qtha_lab.experiment import Federation as Federation
    from qtha_lab.experiment import MethodChoice as MethodChoice
    from qtha_lab.experiment import Phase as Phase
    from qtha_lab.experiment import Preference as Preference
    from qtha_lab.experiment import Reinforce as Reinforce
    from qtha_lab.experiment import Supervised as Supervised
    from qtha_lab.experiment import Sweep as Sweep
    from qtha_lab.experiment import Training as Training
    from qtha_lab.experiment import Tuning as Tuning
    from qtha_lab.experiment.cost.preview import preview as preview
    from qtha_lab.models import load_model as load_model
    from qtha_lab.models import model_names as list_models  # noqa: F401
    from qtha_lab.runs.chat.models import ChatModels as ChatModels
    from qtha_lab.runs.export.lora_fit import export_lora as export_lora
    from qtha_lab.runs.prediction import load_predictor as load_predictor
    from qtha_lab.runs.run import Run as Run
    from qtha_lab.runs.run import list_runs as list_runs
    from qtha_lab.runs.run import load_run as load_run
    from qtha_lab.runs.table import runs_table as runs_table
    from qtha_lab.simulators import QuantumLayer as QuantumLayer
    from qtha_lab.simulators import engine_names as list_engines  # noqa: F401
    from qtha_lab.simulators import expval as expval
    from qtha_lab.simulators import expval_z as expval_z
    from qtha_lab.simulators import probs as probs
    from qtha_lab.studies import sweep as sweep
    from qtha_lab.studies.circuit_search import CircuitSearch as CircuitSearch
    from qtha_lab.studies.compare import compare as compare
    from qtha_lab.studies.federated import federate as federate
    from qtha_lab.studies.launch import launch as launch
    from qtha_lab.tasks import load_task as load_task
    from qtha_lab.tasks import task_names as list_tasks  # noqa: F401
    from qtha_lab.tensor_networks.operator import MPO as MPO
    from qtha_lab.widgets import Workbench as Workbench  # pyright: ignore[reportMissingImports]

__version__ = "0.3.0"

keep_quiet()
start_logging()
install_panel_finder()
register_after_peft()

__getattr__, __dir__, __all__ = lazy_names(__name__, "__version__")
