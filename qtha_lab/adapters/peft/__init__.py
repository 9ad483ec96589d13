"""Integration of our methods with PEFT as tuners.

Holds no mathematics: a method file gives tensors, their initialisation and `delta`. These files
build a config base, a tuner layer and a tuner model, and register them with PEFT.
"""

from qtha_lab.adapters.peft.config import CONVOLUTIONS as CONVOLUTIONS
from qtha_lab.adapters.peft.config import LINEAR as LINEAR
from qtha_lab.adapters.peft.config import AdapterConfig as AdapterConfig
from qtha_lab.adapters.peft.config import RankConfig as RankConfig
from qtha_lab.adapters.peft.config import as_matrix as as_matrix
from qtha_lab.adapters.peft.config import block_of as block_of
from qtha_lab.adapters.peft.config import layer_sizes as layer_sizes
from qtha_lab.adapters.peft.config import quantised_kind as quantised_kind
from qtha_lab.adapters.peft.layer import AdapterLayer as AdapterLayer
from qtha_lab.adapters.peft.model import AdapterModel as AdapterModel
from qtha_lab.adapters.peft.registration import OUR_METHODS as OUR_METHODS
from qtha_lab.adapters.peft.registration import OurMethod as OurMethod
from qtha_lab.adapters.peft.registration import method as method
from qtha_lab.adapters.peft.shared_products import hold_products as hold_products
