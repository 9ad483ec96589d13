"""Initialisations of circuit angles by name; one file each, found automatically.

`initialisation_of("run(RUN)")` returns an `AngleInitialisation`. The module `resolve_angles`
applies the initialisations that read files.
"""

from qtha_lab.adapters.initialisation.angles.registry import (
    ANGLE_INITIALISATIONS,
    UNIFORM,
    AngleInitialisation,
    AngleInitialisationInfo,
    AnglePosition,
    angle_initialisation,
    angles_setting,
    check_angle_setting,
    draw_angles,
    initialisation_of,
    names,
)

__all__ = [
    "ANGLE_INITIALISATIONS",
    "UNIFORM",
    "AngleInitialisation",
    "AngleInitialisationInfo",
    "AnglePosition",
    "angle_initialisation",
    "angles_setting",
    "check_angle_setting",
    "draw_angles",
    "initialisation_of",
    "names",
]
