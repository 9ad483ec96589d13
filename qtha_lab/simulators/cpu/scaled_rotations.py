"""Selection of scaled rotations, which are executed without their cosine factor.

A rotation by a is cos(a/2) times [[1, -t], [t, 1]] with t = tan(a/2). The matrix costs two
multiply-adds per pair of numbers, against three for shears. All rows share the cosine, so the
following phases, which multiply every row anyway, include the cosines of a whole layer. The inverse
of a rotation is its transpose with the same cosine, also included in the phases. If the cosines are
too small for the precision, shears are used.

Source: the fast rotations of Gentleman 1973, doi:10.1093/imamat/12.3.329, which scale rows one by
one; the single factor for a whole state and its place in the phases are ours.
"""

from qtha_lab.simulators.program import Phases, Program, Rotations

COSINES, SHEARS, SCALED = range(3)  # uses of an angle that differs between samples
# Upper bound of Σ 1/C² over the samples of a block, with C the product of a layer's cosines.
# Gradients are products of two states without these cosines, and must not overflow float32.
MOST_LEFT_OUT = 2.0**80


def scaled_layers(program: Program, reads_behind: bool) -> frozenset[int]:
    """Return the positions of the layers with scaled rotations.

    The set is empty unless layers of rotations and of phases alternate and all phases are shared by
    the samples.

    Args:
        program: The layers.
        reads_behind: Whether the final rotations are not executed (see `final_rotations`).

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
