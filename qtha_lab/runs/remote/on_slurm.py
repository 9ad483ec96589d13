"""Runs as Slurm jobs; a job that is preempted or out of time is requeued.

The requeued job resumes the run.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import Any, Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.io.signed import private_folder
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.settings import setting
from qtha_lab.core.settings_help import with_arguments
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.remote import registry
from qtha_lab.runs.remote.registry import RemoteBackend, Waiting, name_of, remote_backend

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


@remote_backend("slurm")
@with_arguments
@dataclasses.dataclass(frozen=True)
class Slurm:
    """A Slurm cluster, through submitit."""

    cluster: Literal["slurm", "local"] = setting(
        "slurm", "Local: processes of this machine, to try a job file out."
    )
    partition: str | None = setting(None, "Where jobs queue.")
    account: str | None = setting(None, "Whom they are counted to.")
    minutes: int = setting(60, "Longest time of a job; a longer run continues in the next.", ge=1)
    cpus: int = setting(1, "Cores of a run, and its threads.", ge=1)
    gpus: int = setting(0, "GPUs of a run.", ge=0)
    memory: float | None = setting(None, "Memory of a run.", gt=0.0, unit="GiB")

    def connect(self) -> RemoteBackend:
        """Check that Slurm's commands are available.

        Raises:
            Refusal: If submitit is not installed, or Slurm is not on this machine.
        """
        require_extra("remote", "A run on Slurm", "submitit")
        import submitit

        if self.cluster == "slurm" and submitit.AutoExecutor.which() != "slurm":
            raise Refusal(
                "Slurm must be installed on this machine, got no srun. Start from a login node, "
                "or use slurm(cluster=local)."
            )
        return _Jobs(self)


class Job:
    """The function of a job; Slurm requeues the same function after preemption."""

    def __call__(self, *arguments: Any) -> str:
        """Run the worker of a run."""
        return registry.work_here(*arguments)

    def checkpoint(self, *arguments: Any) -> Any:
        """Return the same job for requeueing; the run itself records its progress."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)


class _Jobs:
    """The submitted jobs."""

    def __init__(self, described: Slurm) -> None:
        self.described = described
        self.name = name_of("slurm", described)
        self.jobs: list[tuple[Any, RunDir, threading.Thread]] = []

    def start(self, files: RunDir) -> None:
        """Submit one job for a run.

        Its pickles and output are in `.jobs` beside the runs, with mode 0700.

        Raises:
            Refusal: If another user owns that folder or may write to it, because a pickle runs
                code.
        """
        import submitit

        d = self.described
        folder = private_folder(files.path.parent / ".jobs")
        folder.chmod(0o700)
        executor = submitit.AutoExecutor(folder, cluster=d.cluster)
        slurm = {"slurm_partition": d.partition, "slurm_account": d.account}
        executor.update_parameters(
            name=files.path.name,
            timeout_min=d.minutes,
            cpus_per_task=d.cpus,
            gpus_per_node=d.gpus,
            **({"mem_gb": d.memory} if d.memory else {}),
            **{name: value for name, value in slurm.items() if value},
        )
        waiting = Waiting(files)
        job = executor.submit(Job(), str(files.path), d.cpus, registry.variables())
        log.info("%s is job %s", files.path.name, job.job_id)
        thread = threading.Thread(target=_follow, args=(job, waiting), daemon=True)
        thread.start()
        self.jobs.append((job, files, thread))

    def close(self) -> None:
        """Request the stop of all runs, cancel jobs that have not started, and wait."""
        for job, files, thread in self.jobs:
            if thread.is_alive():
                files.request_stop()
                if job.state in ("PENDING", "UNKNOWN"):
                    job.cancel()
        for *_, thread in self.jobs:
            thread.join()


def _follow(job: Any, waiting: Waiting) -> None:
    """Wait for a job, and report its result."""
    while not job.done():
        time.sleep(POLL_SECONDS)
    if job.state == "CANCELLED":
        return waiting.ended(cancelled=True)
    problem = job.exception()
    if problem is None:
        return waiting.ended(job.result())
    log.warning("job %s failed: %s", job.job_id, problem)
    last = shortened((str(problem).strip() or type(problem).__name__).splitlines()[-1], 160)
    return waiting.ended(f"its job {job.job_id} failed: {last}; details in {job.paths.stderr}")
