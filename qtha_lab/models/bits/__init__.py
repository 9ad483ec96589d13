"""Ways to few bits by name, as `quantization` calls them: `round(w=3,g=64)`; one file each.

All of them are fake-quantised: the numbers are those of few bits, the memory is not. Formats that are stored in few
bits are `qtha_lab.models.quantized`.
"""

from qtha_lab.models.bits.registry import BITS, BitsInfo, Rounding, bits, rounding_named

__all__ = ["BITS", "BitsInfo", "Rounding", "bits", "rounding_named"]
