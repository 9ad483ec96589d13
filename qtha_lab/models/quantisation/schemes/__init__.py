"""Ways to few bits by name, as `quantization` calls them: `round(w=3,g=64)`; one file each.

All of them are fake-quantised: the numbers are those of few bits, the memory is not. Formats that are stored in few
bits are `qtha_lab.models.quantisation.formats`.
"""

from qtha_lab.models.quantisation.schemes.registry import (
    BITS,
    Rounding,
    SchemeInfo,
    bits,
    rounding_named,
)

__all__ = ["BITS", "Rounding", "SchemeInfo", "bits", "rounding_named"]
