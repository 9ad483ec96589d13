"""Initialisations of circuit angles by name; one file each, found automatically.

`initialisation_of("run(RUN)")` returns a `Start`. `qtha_lab.adapters.initialisation.resolve_angles`
applies the initialisations that read files.
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
