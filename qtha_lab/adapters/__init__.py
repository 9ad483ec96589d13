"""Adapters by name: QTHA and related methods as PEFT tuners, and PEFT's own methods.

Importing this package registers our methods with PEFT, so that saved adapters load.
"""

from qtha_lab.adapters.attach import add_adapter, check_targets, circuits_of, count_trainable
from qtha_lab.adapters.budget import size_warning
from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.experts import unadapted_experts_note
from qtha_lab.adapters.first_step import first_step_warning
from qtha_lab.adapters.generated_network import GeneratedNet, generate_into
from qtha_lab.adapters.generated_weights import WeightGenerator
from qtha_lab.adapters.initialisation.from_data import initialisation_rows, initialise_from_rows
from qtha_lab.adapters.initialisation.lora import (
    add_for_checkpoint,
    add_initialised,
    base_alone,
    initialisation_note,
    lora_initialisation,
    save_initialisation,
    save_whole,
    subtracted_product,
)
from qtha_lab.adapters.initialisation.lora_validation import check_initialisation
from qtha_lab.adapters.initialisation.resolve_angles import (
    check_angles,
    initial_angles,
    pending_initialisation,
)
from qtha_lab.adapters.layout import Layout, layout_of
from qtha_lab.adapters.loading import load_adapter
from qtha_lab.adapters.method import Method
from qtha_lab.adapters.mixture import weigh
from qtha_lab.adapters.peft import OUR_METHODS, AdapterConfig, hold_products, method
from qtha_lab.adapters.qtha import QthaConfig
from qtha_lab.adapters.registry import get_method, method_names, method_of
from qtha_lab.adapters.scaling import scale_of

OUR_METHODS.discover()

__all__ = [
    "AdapterConfig",
    "Change",
    "GeneratedNet",
    "Layer",
    "Layout",
    "Method",
    "QthaConfig",
    "TensorSpec",
    "WeightGenerator",
    "add_adapter",
    "add_for_checkpoint",
    "add_initialised",
    "base_alone",
    "check_angles",
    "check_initialisation",
    "check_targets",
    "circuits_of",
    "count_trainable",
    "first_step_warning",
    "generate_into",
    "get_method",
    "hold_products",
    "initial_angles",
    "initialisation_note",
    "initialisation_rows",
    "initialise_from_rows",
    "layout_of",
    "load_adapter",
    "lora_initialisation",
    "method",
    "method_names",
    "method_of",
    "pending_initialisation",
    "save_initialisation",
    "save_whole",
    "scale_of",
    "size_warning",
    "subtracted_product",
    "unadapted_experts_note",
    "weigh",
]
