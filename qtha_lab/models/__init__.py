"""Base models by name: the bundled model, two downloadable ones, folders and hub ids.

Loading does not download; `fetch` does. `qtha_lab.adapters` adds adapters.
"""

from qtha_lab.models.catalogue import KNOWN, KnownModel, check_model, is_available, model_names
from qtha_lab.models.fetching import FetchError, fetch
from qtha_lab.models.loading import (
    LoadedModel,
    default_target_modules,
    empty_model,
    is_encoder_decoder,
    load_model,
    model_fingerprint,
)
from qtha_lab.models.public_names import public_base, public_name

__all__ = [
    "KNOWN",
    "FetchError",
    "KnownModel",
    "LoadedModel",
    "check_model",
    "default_target_modules",
    "empty_model",
    "fetch",
    "is_available",
    "is_encoder_decoder",
    "load_model",
    "model_fingerprint",
    "model_names",
    "public_base",
    "public_name",
]
