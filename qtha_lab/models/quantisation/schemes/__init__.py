"""Weight quantisation schemes by name, as in `round(w=3,g=64)`; one file each.

All schemes are fake-quantised: values lie on a grid of few bits, but memory use does not shrink.
Formats that are stored in few bits are in `qtha_lab.models.quantisation.formats`.
"""

from qtha_lab.models.quantisation.schemes.registry import (
    BITS,
    Rounding,
    SchemeInfo,
    bits,
    rounding_named,
)

__all__ = ["BITS", "Rounding", "SchemeInfo", "bits", "rounding_named"]
