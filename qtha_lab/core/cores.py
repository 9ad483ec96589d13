"""CPU cores that this process may use."""

import os
import sys


def allowed_cores() -> list[int]:
    """Return the numbers of the cores that the system allows this process to use."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
