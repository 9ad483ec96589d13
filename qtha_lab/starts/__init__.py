"""Starts: where the angles of a circuit begin, by name. One file each in this folder, found by itself.

`start_of("run(RUN)")` gives a `Start`; adding one is adding its file. Which tensors of a method hold
angles is `qtha_lab.adapters.angle_start`.
"""

from qtha_lab.starts.registry import (
    STARTS,
    UNIFORM,
    Place,
    Start,
    StartInfo,
    angles_setting,
    check_start,
    draw,
    names,
    start,
    start_of,
)

__all__ = [
    "STARTS",
    "UNIFORM",
    "Place",
    "Start",
    "StartInfo",
    "angles_setting",
    "check_start",
    "draw",
    "names",
    "start",
    "start_of",
]
