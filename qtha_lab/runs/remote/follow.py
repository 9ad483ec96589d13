"""The local copy of runs in a store, updated while their remote jobs go on.

Events are copied as they come, all files at the end. So every view of a run reads its local
directory, wherever it trains. During a storage outage, requests are repeated until the store
answers.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from qtha_lab.core.errors import Refusal
from qtha_lab.runs.remote.send import Waiting
from qtha_lab.runs.remote.store import Store, StoredRun, one_line

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 60.0  # wait for a storage outage at the end


@dataclass
class _Sent:
    """A run that was sent, and the result of its job.

    Attributes:
        waiting: Holds the run locally.
        stored: The run in the store.
        end: The result of the job; None while it goes on.
    """

    waiting: Waiting
    stored: StoredRun
    end: tuple[str, bool] | None = None
    stop_requested: bool = False


class Following:
    """A thread that follows all runs sent to a store.

    Args:
        store: The store of the runs.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.sent = store, []
        self.is_unreachable = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def add(self, waiting: Waiting) -> _Sent:
        """Follow a run from now on."""
        sent = _Sent(waiting, self.store.run(waiting.files.path.name))
        self.sent.append(sent)
        return sent

    def close(self) -> None:
        """Copy the remaining files after all jobs have ended.

        Runs in a store that stays unreachable for `PATIENCE_SECONDS` are ended with an error.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while self.sent and time.monotonic() < end:
            time.sleep(0.1)
        self._closing.set()
        self._thread.join()
        for sent in self.sent:
            sent.waiting.ended(f"the store {self.store.url} does not respond: its end is not here")

    def _go_on(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            for sent in list(self.sent):
                try:
                    self._look(sent)
                except Refusal as reason:  # permanent: a retry would give the same
                    self.sent.remove(sent)
                    sent.waiting.ended(str(reason))
                except Exception as problem:  # any exception of the store's library
                    if not self.is_unreachable:
                        log.warning(
                            "the store %s does not respond (%s): retrying",
                            self.store.url,
                            one_line(problem),
                        )
                    self.is_unreachable = True
                    break
                self.is_unreachable = False

    def _look(self, sent: _Sent) -> None:
        run = sent.waiting.files
        if sent.end is not None:
            sent.stored.pull(run)
            self.sent.remove(sent)
            sent.waiting.ended(sent.end[0], cancelled=sent.end[1])
            return
        if run.stop.exists() and not sent.stop_requested:
            sent.stored.request_stop()
            sent.stop_requested = True
        sent.stored.follow(run)
