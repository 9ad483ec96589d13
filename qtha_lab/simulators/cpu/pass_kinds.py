"""Kinds of passes of engine `cpu`, and the selection of scaled rotations."""

import numpy as np

from qtha_lab.simulators.program import Phases, Program, Rotations

# Kinds of passes; the letters are steps in execution order:
#   t, s  two rotations as shears, or scaled
#   T, S  three rotations of eight rows as shears, or scaled
#   p     one phase per row, with the shared cosines of preceding scaled rotations
#   q     the same with cosines that differ between samples
#   o     one phase per row of a state that is real before it
#   r     read-out after two final rotations, which are not executed
# and "sampled", a phase that differs between samples; "real", two rotations of a real state, which
# stays real; "first", two rotations of a state that is nonzero only in the first of their four
# rows.
KINDS = (
    *("sampled", "real", "first", "T", "S", "t", "pt", "ot", "tpt"),
    *("s", "ps", "os", "qs", "sps", "sqs", "r", "pr", "or", "qr", "tpr", "spr", "sqr"),
)
SAMPLED, REAL, FIRST, THREE, THREE_SCALED, READ = map(
    KINDS.index, ("sampled", "real", "first", "T", "S", "r")
)  # READ and later kinds include a read-out
LAST_READ_ALONE = KINDS.index("qr")  # later kinds execute two rotations first
# kind with shears for every kind
UNSCALED = np.array(
    [
        *(SAMPLED, REAL, FIRST),
        *(KINDS.index(kind.translate(str.maketrans("sSq", "tTp"))) for kind in KINDS[3:]),
    ]
)


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
