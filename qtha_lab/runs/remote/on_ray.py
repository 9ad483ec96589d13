"""Runs as tasks of a Ray cluster.

If a machine is lost, the run resumes from its checkpoint on another.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import socket
from concurrent.futures import Future, wait
from typing import Any

from qtha_lab.core.errors import Refusal, describe_error, message_of
from qtha_lab.core.io import shortened, whole_number
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.settings import setting
from qtha_lab.core.settings_help import with_arguments
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.remote import registry
from qtha_lab.runs.remote.registry import RemoteBackend, Waiting, name_of, remote_backend

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
LOOPBACK = ("127.0.0.1", "::1")
LOCAL = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With 0 Ray takes the loopback address, on every system."""


@remote_backend("ray")
@with_arguments
@dataclasses.dataclass(frozen=True)
class Ray:
    """A Ray cluster at an address, or a new cluster that only this machine reaches.

    Source:
        docs.ray.io, "Fault tolerance: tasks": a task is retried when its worker or its node dies.
    """

    address: str | None = setting(
        None, "Of its head, or auto for the one on this machine; none: RAY_ADDRESS, else a new one."
    )
    cpus: int = setting(1, "Cores of a run, and its threads.", ge=1)
    gpus: float = setting(0.0, "GPUs of a run; a part of one is shared.", ge=0.0)
    memory: float | None = setting(None, "Memory reserved for a run.", gt=0.0, unit="GiB")
    retries: int = setting(3, "Further tries of a run whose machine was lost.", ge=0)

    def connect(self) -> RemoteBackend:
        """Connect to the cluster, or start one on the loopback address.

        Raises:
            Refusal: If Ray is not installed, no cluster answers, or the new one does not start.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self.address or os.environ.get("RAY_ADDRESS") or None
        if (
            not address
        ):  # read at the import of ray, by Ray's processes and by nodes that join later
            os.environ[LOCAL] = "0"
            os.environ["RAY_AUTH_MODE"] = "token"  # a set one could be "disabled"
        require_extra("remote", "A run on Ray", "ray")
        import ray

        is_new = not ray.is_initialized()
        if is_new:
            _connect(address)
        return _Cluster(self, is_new)


def _connect(address: str | None) -> None:
    """Connect to a cluster, or start one if there is no address.

    Raises:
        Refusal: If that fails, or the new cluster can be reached from other machines.
    """
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            _check_that_it_listens(address)
            ray.init(address, **options)
        else:
            ray.init("local", include_dashboard=False, **options)
    except Exception as problem:  # Ray raises a plain Exception for a node that does not start
        ray.shutdown()
        if address:
            raise Refusal(
                f"A Ray cluster must respond at {shortened(address)}, got {message_of(problem)}."
            ) from problem
        raise Refusal(
            f"Ray must start a node on this machine, got {describe_error(problem)}."
        ) from problem
    host = ray.get_runtime_context().gcs_address.rpartition(":")[0].strip("[]")
    if not address and host not in LOOPBACK:
        ray.shutdown()
        raise Refusal(
            f"A new Ray cluster must listen on this machine only, got {shortened(host)}. Set "
            f"{LOCAL}=0 before ray is imported, or name the address of a cluster."
        )


def _check_that_it_listens(address: str) -> None:
    """Check once that a cluster listens at an address; Ray itself retries for minutes.

    Raises:
        OSError: If nothing listens.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and (number := whole_number(port, 65_535)):
        socket.create_connection((host, number), timeout=CONNECT_SECONDS).close()


class _Cluster:
    """A connected cluster and its submitted tasks."""

    def __init__(self, described: Ray, is_ours: bool) -> None:
        import ray

        resources: dict[str, Any] = {"num_cpus": described.cpus, "num_gpus": described.gpus}
        if described.memory:
            resources["memory"] = int(described.memory * 2**30)
        self.threads, self.is_ours = described.cpus, is_ours
        address = ray.get_runtime_context().gcs_address  # also of a cluster created just now
        self.name = name_of("ray", described, address=address)
        self.task: Any = ray.remote(max_retries=described.retries, **resources)(registry.work_here)
        self.tasks: dict[Any, Future] = {}

    def start(self, files: RunDir) -> None:
        """Submit one task for a run."""
        waiting = Waiting(files)
        reference = self.task.remote(str(files.path), self.threads, registry.variables())
        self.tasks[reference] = reference.future()
        self.tasks[reference].add_done_callback(functools.partial(_ended, waiting))

    def close(self) -> None:
        """Cancel all tasks, wait until their runs have saved, and disconnect from the cluster."""
        import ray

        for reference, future in self.tasks.items():
            if not future.done():
                ray.cancel(reference)
        wait(self.tasks.values())
        if self.is_ours:
            ray.shutdown()


def _ended(waiting: Waiting, future: Future) -> None:
    """Report the result of a task."""
    from ray.exceptions import RayError, TaskCancelledError

    try:
        waiting.ended(future.result())
    except TaskCancelledError as reason:
        log.debug("%s was called back: %s", waiting.files.path.name, reason)
        waiting.ended(cancelled=True)
    except RayError as problem:
        log.warning("%s: %s", waiting.files.path.name, problem)
        waiting.ended(f"Ray gave it up: {message_of(problem)}")
