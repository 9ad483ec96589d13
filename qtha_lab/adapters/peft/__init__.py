"""Integration of our methods with PEFT as tuners.

Holds no mathematics: a method file gives tensors, their initialisation and `delta`. These files
build a config base, a tuner layer and a tuner model, and register them with PEFT.
"""

from qtha_lab.adapters.peft.base_layer import (
    CONVOLUTIONS,
    LINEAR,
    as_matrix,
    block_of,
    layer_sizes,
    quantised_kind,
)
from qtha_lab.adapters.peft.config import AdapterConfig, RankConfig
from qtha_lab.adapters.peft.layer import AdapterLayer
from qtha_lab.adapters.peft.model import AdapterModel
from qtha_lab.adapters.peft.registration import OUR_METHODS, OurMethod, method
from qtha_lab.adapters.peft.shared_products import hold_products

__all__ = [
    "CONVOLUTIONS",
    "LINEAR",
    "OUR_METHODS",
    "AdapterConfig",
    "AdapterLayer",
    "AdapterModel",
    "OurMethod",
    "RankConfig",
    "as_matrix",
    "block_of",
    "hold_products",
    "layer_sizes",
    "method",
    "quantised_kind",
]
