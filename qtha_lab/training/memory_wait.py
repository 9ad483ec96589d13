"""A run waits until what it needs fits into memory beside the runs that go on; alone it waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtha_lab.core import memory_reservations as reserved
from qtha_lab.experiment import memory
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.training.evaluation import Interrupted

if TYPE_CHECKING:
    from qtha_lab.training.session import Session


def make_room(session: Session, needed: Mapping[str, int]) -> None:
    """Wait for memory, first come, first served, and ask for it as long as this process lives.

    Args:
        session: Whose run it is; one that queues nowhere waits for nothing.
        needed: Bytes, by what takes them (see `experiment.memory.bytes_needed`).

    Raises:
        Interrupted: If the run is asked to stop meanwhile.
    """
    folder, told = session.queue, False
    if folder is None:
        return

    def take() -> int | None:
        nonlocal told
        why = memory.lacking(needed, reserved.reservations(folder))
        if why is None:
            return reserved.reserve(folder, sum(needed.values()))
        if not told:
            session.report("queued", why)
        told = True
        return None

    queue = slots.Queue(folder / reserved.FOLDER)
    if queue.turn(session.run.path.name, take, session.stop_requested) is None:
        raise Interrupted
