"""Run directory: files, append-only events, and locks of the processes that use it."""

from qtha_lab.core.io import read_mapping, write_atomically, write_json
from qtha_lab.experiment.run_directory.files import RunDir

__all__ = ["RunDir", "read_mapping", "write_atomically", "write_json"]
