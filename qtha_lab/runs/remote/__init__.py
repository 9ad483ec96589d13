"""Remote backends for runs: `--on ray`, `--on "ray(address=…,cpus=4)"` or `--on slurm`.

Each kind of backend is a file `on_NAME.py`. All machines see one folder of runs.
A run stays a directory: it is followed, stopped and resumed like a local one.
"""

from qtha_lab.runs.remote.registry import RemoteBackend, remote_backend, remote_backend_named, send

__all__ = ["RemoteBackend", "remote_backend", "remote_backend_named", "send"]
