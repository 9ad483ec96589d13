"""Base models by name: the bundled model, two downloadable ones, folders and hub ids.

Loading does not download; `fetch` does. `qtha_lab.adapters` adds adapters.
"""

from qtha_lab.models.catalogue import KNOWN as KNOWN
from qtha_lab.models.catalogue import KnownModel as KnownModel
from qtha_lab.models.catalogue import check_model as check_model
from qtha_lab.models.catalogue import is_available as is_available
from qtha_lab.models.catalogue import model_names as model_names
from qtha_lab.models.catalogue import public_base as public_base
from qtha_lab.models.catalogue import public_name as public_name
from qtha_lab.models.config_files import most_positions as most_positions
from qtha_lab.models.fetching import FetchError as FetchError
from qtha_lab.models.fetching import fetch as fetch
from qtha_lab.models.loading import LoadedModel as LoadedModel
from qtha_lab.models.loading import default_target_modules as default_target_modules
from qtha_lab.models.loading import empty_model as empty_model
from qtha_lab.models.loading import is_encoder_decoder as is_encoder_decoder
from qtha_lab.models.loading import load_model as load_model
from qtha_lab.models.loading import model_fingerprint as model_fingerprint
