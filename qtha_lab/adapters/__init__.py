"""Adapters by name: QTHA and related methods as PEFT tuners, and PEFT's own methods.

Importing this package registers our methods with PEFT, so that saved adapters load.
"""

from qtha_lab.adapters.adapted_model import add_adapter as add_adapter
from qtha_lab.adapters.adapted_model import check_targets as check_targets
from qtha_lab.adapters.adapted_model import circuits_of as circuits_of
from qtha_lab.adapters.adapted_model import count_trainable as count_trainable
from qtha_lab.adapters.budget import first_step_warning as first_step_warning
from qtha_lab.adapters.budget import size_warning as size_warning
from qtha_lab.adapters.change import Change as Change
from qtha_lab.adapters.change import Layer as Layer
from qtha_lab.adapters.change import TensorSpec as TensorSpec
from qtha_lab.adapters.generated_network import GeneratedNet as GeneratedNet
from qtha_lab.adapters.generated_network import generate_into as generate_into
from qtha_lab.adapters.generated_weights import WeightGenerator as WeightGenerator
from qtha_lab.adapters.initialisation.from_data import initialisation_rows as initialisation_rows
from qtha_lab.adapters.initialisation.from_data import initialise_from_rows as initialise_from_rows
from qtha_lab.adapters.initialisation.lora import add_for_checkpoint as add_for_checkpoint
from qtha_lab.adapters.initialisation.lora import add_initialised as add_initialised
from qtha_lab.adapters.initialisation.lora import base_alone as base_alone
from qtha_lab.adapters.initialisation.lora import initialisation_note as initialisation_note
from qtha_lab.adapters.initialisation.lora import lora_initialisation as lora_initialisation
from qtha_lab.adapters.initialisation.lora import save_initialisation as save_initialisation
from qtha_lab.adapters.initialisation.lora import save_whole as save_whole
from qtha_lab.adapters.initialisation.lora import subtracted_product as subtracted_product
from qtha_lab.adapters.initialisation.resolve_angles import check_angles as check_angles
from qtha_lab.adapters.initialisation.resolve_angles import (
    check_initialisation as check_initialisation,
)
from qtha_lab.adapters.initialisation.resolve_angles import initial_angles as initial_angles
from qtha_lab.adapters.initialisation.resolve_angles import (
    pending_initialisation as pending_initialisation,
)
from qtha_lab.adapters.loading import load_adapter as load_adapter
from qtha_lab.adapters.method import Method as Method
from qtha_lab.adapters.method import scale_of as scale_of
from qtha_lab.adapters.mixture import weigh as weigh
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.adapters.peft import AdapterConfig as AdapterConfig
from qtha_lab.adapters.peft import hold_products as hold_products
from qtha_lab.adapters.peft import method as method
from qtha_lab.adapters.peft.model import unadapted_experts_note as unadapted_experts_note
from qtha_lab.adapters.qtha import QthaConfig as QthaConfig
from qtha_lab.adapters.registry import get_method as get_method
from qtha_lab.adapters.registry import method_names as method_names
from qtha_lab.adapters.registry import method_of as method_of
from qtha_lab.adapters.tensor_groups import Layout as Layout
from qtha_lab.adapters.tensor_groups import layout_of as layout_of

OUR_METHODS.discover()
