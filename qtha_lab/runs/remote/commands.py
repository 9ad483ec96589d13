"""The remote function of a job, and the local handling of its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.remote import host, mirror
from qtha_lab.runs.remote.follow import Following
from qtha_lab.runs.remote.send import Waiting
from qtha_lab.runs.remote.store import Store


class Ended(Protocol):
    """A callback, called once when the job of a run has ended."""

    def __call__(self, problem: str = "", *, cancelled: bool = False) -> None:
        """Report the end of the job; see `Waiting.ended`."""
        ...


class Ends:
    """Both ends of jobs: the function that a remote machine runs, and the local wait.

    Args:
        store: The store of the runs; None if all machines see their folder.
    """

    def __init__(self, store: Store | None) -> None:
        self.store = store
        self.following = Following(store) if store else None
        self.work: Callable[..., str] = mirror.work_mirrored if store else host.work_here

    def order(self, files: RunDir, threads: int) -> tuple[Any, ...]:
        """Return the arguments of `work` for a run."""
        variables = host.variables()
        if self.store is None:
            return str(files.path), threads, variables
        return files.path.name, threads, variables, self.store.url

    def wait_for(self, files: RunDir) -> Ended:
        """Hold a run that is being sent; return the callback for the job's end."""
        waiting = Waiting(files)
        if self.following is None:
            return waiting.ended
        sent = self.following.add(waiting)

        def ended(problem: str = "", *, cancelled: bool = False) -> None:
            sent.end = problem, cancelled

        return ended

    def close(self) -> None:
        """Wait until the results of all ended jobs are copied from the store."""
        if self.following is not None:
            self.following.close()
