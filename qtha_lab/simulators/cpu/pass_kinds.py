"""Kinds of passes of engine `cpu`, and the steps of each."""

import numpy as np

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
