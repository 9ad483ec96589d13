"""Adapters: QTHA and its kin as PEFT tuners, and PEFT's own methods, all by name.

Importing this registers every method of ours with PEFT, so that saved adapters load.
"""

from qtha_lab.adapters.angle_start import check_angles, start_angles, start_to_resolve
from qtha_lab.adapters.attach import (
    add_adapter,
    check_targets,
    circuits_of,
    count_trainable,
)
from qtha_lab.adapters.budget import size_warning
from qtha_lab.adapters.data_start import rows_to_start_from, start_from_rows
from qtha_lab.adapters.first_step import first_step_warning
from qtha_lab.adapters.generated import WeightGenerator
from qtha_lab.adapters.generated_net import GeneratedNet, generate_into
from qtha_lab.adapters.layout import Layout, layout_of
from qtha_lab.adapters.loading import load_adapter
from qtha_lab.adapters.lora_starts import (
    add_started,
    add_unstarted,
    base_alone,
    lora_start,
    moved_start,
    save_start,
    save_whole,
    start_note,
)
from qtha_lab.adapters.method import Change, Layer, Method, TensorSpec
from qtha_lab.adapters.peft import OUR_METHODS, AdapterConfig, hold_products, method
from qtha_lab.adapters.qtha import QthaConfig
from qtha_lab.adapters.registry import get_method, method_names, method_of
from qtha_lab.adapters.scales import scale_of
from qtha_lab.adapters.start_checks import check_start
from qtha_lab.adapters.weighing import weigh

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
    "add_started",
    "add_unstarted",
    "base_alone",
    "check_angles",
    "check_start",
    "check_targets",
    "circuits_of",
    "count_trainable",
    "first_step_warning",
    "generate_into",
    "get_method",
    "hold_products",
    "layout_of",
    "load_adapter",
    "lora_start",
    "method",
    "method_names",
    "method_of",
    "moved_start",
    "rows_to_start_from",
    "save_start",
    "save_whole",
    "scale_of",
    "size_warning",
    "start_angles",
    "start_from_rows",
    "start_note",
    "start_to_resolve",
    "weigh",
]
