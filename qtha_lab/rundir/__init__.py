"""A run is a directory: its files, its append-only events, and the locks that say who works in it."""

from qtha_lab.core.io import read_mapping
from qtha_lab.rundir.files import RunDir, write_json, write_whole

__all__ = ["RunDir", "read_mapping", "write_json", "write_whole"]
