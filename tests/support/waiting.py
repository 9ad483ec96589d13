"""Waits of tests: until a condition holds, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

# Seconds, for what takes a few where nothing else runs: an end to waiting, not a bound on speed.
PATIENCE = 300.0
T = TypeVar("T")


def wait_until(condition: Callable[[], T], report: Callable[[], str] = str) -> T:
    """Ask again and again until the answer is true, and return it.

    Args:
        condition: Is called until its answer is true.
        report: Makes the message of the error if it never is.
    """
    end = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < end, report()
        time.sleep(0.02)
    return answer
