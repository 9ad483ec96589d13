"""Wait of a run until its memory fits beside other runs.

A run without a queue folder does not wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtha_lab.core import memory_reservations as reserved
from qtha_lab.experiment import memory
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.training.evaluation import Interrupted

if TYPE_CHECKING:
    from qtha_lab.training.session import Session


def wait_for_memory(session: Session, needed: Mapping[str, int]) -> None:
    """Wait for memory in first-come order, and reserve it until this process ends.

    Args:
        session: Session of the run; a session without a queue folder does not wait.
        needed: Bytes by purpose (see `experiment.memory.bytes_needed`).

    Raises:
        Interrupted: If a stop is requested during the wait.
    """
    folder, is_reported = session.queue, False
    if folder is None:
        return

    def take() -> int | None:
        nonlocal is_reported
        why = memory.lacking(needed, reserved.reservations(folder))
        if why is None:
            return reserved.reserve(folder, sum(needed.values()))
        if not is_reported:
            session.report("queued", why)
        is_reported = True
        return None

    queue = slots.Queue(folder / reserved.FOLDER)
    if queue.wait_in_line(session.run.path.name, take, session.stop_requested) is None:
        raise Interrupted
