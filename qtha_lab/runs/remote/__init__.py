"""Other machines that runs are sent to, as `--on ray`, `--on "ray(address=…,cpus=4)"` or `--on slurm` name them.

A file `on_NAME.py` is a kind of machines. All of them see one folder of runs; a run stays a directory, and is
watched, stopped and resumed as one that trains here.
"""

from qtha_lab.runs.remote.registry import RemoteBackend, machines, remote_backend_named
from qtha_lab.runs.remote.send import send

__all__ = ["RemoteBackend", "machines", "remote_backend_named", "send"]
