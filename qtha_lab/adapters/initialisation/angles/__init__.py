"""Starts: where the angles of a circuit begin, by name. One file each in this folder, found by itself.

`start_of("run(RUN)")` gives a `Start`; adding one is adding its file. Which tensors of a method
hold angles is `qtha_lab.adapters.initialisation.resolve_angles`.
"""

from qtha_lab.adapters.initialisation.angles.registry import (
    STARTS,
    UNIFORM,
    Place,
    Start,
    StartInfo,
    angles_setting,
    check_initialisation,
    draw,
    initialisation_of,
    names,
    start,
)

__all__ = [
    "STARTS",
    "UNIFORM",
    "Place",
    "Start",
    "StartInfo",
    "angles_setting",
    "check_initialisation",
    "draw",
    "initialisation_of",
    "names",
    "start",
]
