"""Pandas without static types: a selection of a frame is a frame, a column or a value."""

from typing import Any

def __getattr__(name: str) -> Any: ...
