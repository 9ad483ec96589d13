"""List every reader that is attacked; importing this package registers them."""

from . import models, runs, texts
from .registry import READERS, TRAINING, put, reader

__all__ = ["READERS", "TRAINING", "models", "put", "reader", "runs", "texts"]
