"""What a kind of machines is to run for a run, and what is to happen here when that has ended: with a store or without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qtha_lab.runs.remote import mirror as mirroring, host as remote
from qtha_lab.runs.remote.follow import Following
from qtha_lab.runs.remote.send import Waiting
from qtha_lab.runs.remote.store import Store
from qtha_lab.experiment.run_directory import RunDir


class Ended(Protocol):
    """Called once, when the job of a run has ended."""

    def __call__(self, problem: str = "", *, cancelled: bool = False) -> None:
        """See `Waiting.ended`."""
        ...


class Ends:
    """Both ends of jobs: the function that a machine runs, and who waits here.

    Args:
        store: Where runs are kept; None where all machines see their folder.
    """

    def __init__(self, store: Store | None) -> None:
        self.store = store
        self.following = Following(store) if store else None
        self.work: Callable[..., str] = mirroring.work if store else remote.work

    def order(self, files: RunDir, threads: int) -> tuple[Any, ...]:
        """The arguments of `work` for a run.

        Args:
            files: Its directory here.
            threads: CPU threads of the worker.
        """
        variables = remote.variables()
        if self.store is None:
            return str(files.path), threads, variables
        return files.path.name, threads, variables, self.store.url

    def wait_for(self, files: RunDir) -> Ended:
        """Hold a run that is being sent; call what this gives when its job has ended."""
        waiting = Waiting(files)
        if self.following is None:
            return waiting.ended
        sent = self.following.add(waiting)

        def ended(problem: str = "", *, cancelled: bool = False) -> None:
            sent.end = problem, cancelled

        return ended

    def close(self) -> None:
        """When all jobs have ended: wait until what they left in the store is here."""
        if self.following is not None:
            self.following.close()
