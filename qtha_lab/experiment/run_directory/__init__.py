"""A run is a directory: its files, its append-only events, and the locks that say who works in it."""

from qtha_lab.core.io import read_mapping
from qtha_lab.experiment.run_directory.files import RunDir, write_atomically, write_json

__all__ = ["RunDir", "read_mapping", "write_atomically", "write_json"]
