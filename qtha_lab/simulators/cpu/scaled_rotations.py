"""Which turns are done scaled, without their cosines.

A turn by a is cos(a/2) times [[1, -t], [t, 1]] with t = tan(a/2): two multiply-adds for every pair of numbers after three
of shears. The cosine is the same for all rows, so the phases that follow, which multiply every row anyway, take those of
a whole layer of turns. To undo a turn is to transpose it, with the same cosine, which the same phases have. Where
cosines are so small that what is left out would be lost, shears are taken.

Source: the fast rotations of Gentleman 1973, doi:10.1093/imamat/12.3.329, which scale rows one by one; that one number
does for a whole state, and where it goes, is ours.
"""

from qtha_lab.simulators.program import Phases, Program, Rotations

COSINES, SHEARS, SCALED = range(3)  # what an angle that differs between samples is made for
# the most that Σ 1/C² may be over the samples of a block, with C the product of a layer's cosines: slopes are taken of
# two states without them, and have to stay numbers of float32
MOST_LEFT_OUT = 2.0**80


def scaled_layers(program: Program, reads_behind: bool) -> frozenset[int]:
    """The positions of the layers whose turns are done scaled; none if one has no phases after it that samples share.

    Args:
        program: The layers.
        reads_behind: Whether Z is read behind the last turns, which are not done then.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> from qtha_lab.simulators.program import compile_circuit
        >>> sorted(scaled_layers(compile_circuit(build("qtha", 4, 2)), True))
        [2, 4, 6]
    """
    layers = program.layers
    alternate = all(
        isinstance(layer, Phases if position % 2 else Rotations)
        for position, layer in enumerate(layers)
    )
    phases = [list(layer.angles.values()) for layer in layers[1::2]]
    shared = all(any(total.params or total.offset for total in totals) for totals in phases)
    sampled = any(total.inputs for totals in phases for total in totals)
    last = len(layers) - 1
    return frozenset(
        range(2, last, 2) if reads_behind and alternate and shared and not sampled else ()
    )
