"""List every reader that is attacked; importing this package registers them."""

from . import foreign, models, planted, runs, texts
from .registry import READERS, TRAINING, put, reader

__all__ = ["READERS", "TRAINING", "foreign", "models", "planted", "put", "reader", "runs", "texts"]
