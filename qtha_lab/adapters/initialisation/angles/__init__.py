"""Initialisations of circuit angles by name; one file each, found automatically.

`initialisation_of("run(RUN)")` returns an `AngleInitialisation`. The module `resolve_angles`
applies the initialisations that read files.
"""

from qtha_lab.adapters.initialisation.angles.registry import (
    ANGLE_INITIALISATIONS as ANGLE_INITIALISATIONS,
)
from qtha_lab.adapters.initialisation.angles.registry import UNIFORM as UNIFORM
from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation as AngleInitialisation,
)
from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisationInfo as AngleInitialisationInfo,
)
from qtha_lab.adapters.initialisation.angles.registry import AnglePosition as AnglePosition
from qtha_lab.adapters.initialisation.angles.registry import (
    angle_initialisation as angle_initialisation,
)
from qtha_lab.adapters.initialisation.angles.registry import angles_setting as angles_setting
from qtha_lab.adapters.initialisation.angles.registry import (
    check_angle_setting as check_angle_setting,
)
from qtha_lab.adapters.initialisation.angles.registry import draw_angles as draw_angles
from qtha_lab.adapters.initialisation.angles.registry import initialisation_of as initialisation_of
from qtha_lab.adapters.initialisation.angles.registry import names as names
