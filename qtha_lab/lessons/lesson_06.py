"""Exercises of lesson 6: initial values, linearity, the bound on rank, and two bugs."""

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction, Selection
from qtha_lab.lessons.registry import exercise

STARTS = {
    "a": "only the last core of M_B is zero: its gradient contains B z, which is not",
    "b": "only B is zero: its gradient contains z and M_B, which are not",
    "c": "only B is zero here too; singular values near one do not stop a gradient",
    "d": "with B and the last core of M_B zero, the gradient of each contains the other",
    "e": "A = 0 makes h zero, yet A's gradient contains B and the slope of the circuit",
}

exercise(
    "6.1",
    "Initial values that never move",
    difficulty=2,
    minutes=6,
    kind="N",
    answer="stuck",
    hints=(
        "The change is a product. Which factors does the gradient of one factor contain?",
        "One zero factor has a gradient; all others then have none, for one step.",
        "Two zero factors in one product: each gradient contains the other zero.",
    ),
    solution='stuck = "d"',
    mistakes=(
        ('stuck = "ad"', STARTS["a"]),
        ('stuck = "bd"', STARTS["b"]),
        ('stuck = "cd"', STARTS["c"]),
        ('stuck = "de"', STARTS["e"]),
    ),
    grader=Selection("d", STARTS),
    remark="A start at zero change is no dead start. Two zeros in a row are.",
)


def _delta(x):
    import torch

    from qtha_lab.lessons.lesson_06_builds import package_layer

    return package_layer().delta(torch.as_tensor(np.asarray(x, dtype=float)).reshape(1, -1))


def _vectors(pair):
    x, other = (np.asarray(v, dtype=float).reshape(-1) for v in pair)
    return x, other


def _defect(pair) -> float:
    x, other = _vectors(pair)
    zero = _delta(np.zeros(24))
    gap = _delta(x + other) - _delta(x) - _delta(other) + zero
    return float(gap.norm() / _delta(x).norm())


SHAPE = "two vectors of 24 numbers are expected, the inputs of the layer"
FINITE = "a vector holds a number that is not finite"
ZERO = "with a zero vector the defect vanishes: Δ(0) is taken away"
SMALL = "these vectors stay in the range where the cosines are nearly linear: take larger ones"

exercise(
    "6.2",
    "A change that is not additive",
    difficulty=2,
    minutes=8,
    kind="C",
    answer="two_inputs",
    hints=(
        "Where is cos(h + θ) far from its tangent?",
        "Random vectors with entries of size one give h of about that size.",
        "Draw both with torch.randn(24), and print the defect.",
    ),
    solution="""
        torch.manual_seed(0)
        two_inputs = (torch.randn(24), torch.randn(24))
    """,
    mistakes=(
        ("two_inputs = (torch.ones(3), torch.ones(3))", SHAPE),
        ("two_inputs = (torch.full((24,), torch.inf), torch.ones(24))", FINITE),
        ("two_inputs = (torch.ones(24), torch.zeros(24))", ZERO),
        ("two_inputs = (1e-3 * torch.ones(24), 1e-3 * torch.ones(24))", SMALL),
    ),
    setup="import torch",
    grader=Construction(
        (
            (lambda pair: all(v.size == 24 for v in _vectors(pair)), SHAPE),
            (lambda pair: all(np.isfinite(v).all() for v in _vectors(pair)), FINITE),
            (lambda pair: all(np.abs(v).max() > 0 for v in _vectors(pair)), ZERO),
            (lambda pair: _defect(pair) > 0.01, SMALL),
        )
    ),
    remark="So no matrix and offset equal the change, and it cannot be merged into the weight.",
)

STEPS = {
    "a": "every change is M_B B times z, so it is a combination of r columns",
    "b": "every Jacobian ends with A M_A, so its rows are combinations of r rows",
    "c": "ranks of blocks add in general; the stack is bounded because all share these r rows",
    "d": "depth changes z, and z stays r numbers that are computed from r numbers",
    "e": "its rows are changes, and all of them lie in the span of r columns",
}

exercise(
    "6.3",
    "Two lines of a proof",
    difficulty=2,
    minutes=8,
    kind="E",
    answer="valid",
    hints=(
        "Write Δy = U z(D x), with U = s M_B B of r columns and D = A M_A of r rows.",
        "The bound of a stack needs a shared space, not only small blocks.",
        "Two sentences are wrong: one about depth, one about the reason of the stack.",
    ),
    solution='valid = "abe"',
    mistakes=(
        ('valid = "be"', STEPS["a"]),
        ('valid = "ae"', STEPS["b"]),
        ('valid = "abce"', STEPS["c"]),
        ('valid = "abde"', STEPS["d"]),
        ('valid = "ab"', STEPS["e"]),
    ),
    grader=Selection("abe", STEPS),
    remark="Rubric: columns of U, rows of D, the stack, the realised change; one point each.",
)


def _layers():
    import torch

    from qtha_lab.lessons.lesson_06_builds import package_layer

    for seed in (0, 1):
        layer = package_layer(8, 16, seed)
        torch.manual_seed(seed)
        x = torch.randn(4, 8, dtype=torch.float64)
        yield (layer.parts, x, layer.scale), layer.delta(x)


def _with(down: str, angles: str, scale: str = "scale * ") -> str:
    """Return the code of an answer with these parts."""
    return f"""
        def mended_change(parts, x, scale):
            down = {down}
            h = apply_chain(down, x) @ parts["A"].T
            n_layers = len(parts["angles"]) // (4 * h.shape[-1])
            q = qtha_circuit({angles}, n_layers)
            z = q @ parts["W_q"].T + h @ parts["W_c"].T
            return {scale}apply_chain(parts["up"], z @ parts["B"].T)
    """


RIGHT = 'parts["down"]'
CROSSED = '[core.transpose(1, 2) for core in parts["down"]]'
RADIANS, DEGREES = 'h, parts["angles"]', 'torch.deg2rad(h), parts["angles"]'

exercise(
    "6.4",
    "Two bugs that still train",
    difficulty=3,
    minutes=10,
    kind="B",
    answer="mended_change",
    hints=(
        "Set W_q = 0 first: is the linear branch right?",
        "Compare h with the package's, then q. Which unit has an angle?",
        "The cores have the axes (left, out, in, right), and h is in radians.",
    ),
    solution=_with(RIGHT, RADIANS),
    mistakes=(
        (
            _with(CROSSED, DEGREES),
            "both bugs are still there: begin with the linear branch, W_q = 0",
        ),
        (
            _with(RIGHT, DEGREES),
            "the linear branch is right; the circuit reads its angles in degrees",
        ),
        (
            _with(CROSSED, RADIANS),
            "the angles are right; the cores of M_A have output and input exchanged",
        ),
        (
            _with(RIGHT, RADIANS, ""),
            "both bugs are mended, but the factor α / r is lost",
        ),
    ),
    setup="""import torch

from qtha_lab.lessons import own_build

apply_chain, qtha_circuit = own_build("2.apply"), own_build("3.circuit")
""",
    grader=grading.Function(_layers, label=lambda *_: "a layer of 8 inputs and 16 outputs"),
    remark="Both bugs let the loss fall. Only a comparison with a known result finds them.",
)

LINEAR = {
    "a": "without the circuit W_c is all that is left, and a product of matrices is linear",
    "b": "without the networks A and B stand alone, and the circuit is still between them",
    "c": "without both, B W_c A is left: LoRA with a square matrix in the middle",
    "d": "frozen angles make a fixed function of h, and it is still a sum of cosines",
    "e": "without entanglement each mean is a cosine of its own datum",
}

exercise(
    "6.5",
    "Switches and linearity",
    difficulty=1,
    minutes=5,
    kind="N",
    answer="linear_switches",
    hints=(
        "Which switches remove the cosines?",
        "A fixed circuit is a fixed function, and not a linear one.",
        "Two of the five lists contain use_circuit=False.",
    ),
    solution='linear_switches = "ac"',
    mistakes=(
        ('linear_switches = "c"', LINEAR["a"]),
        ('linear_switches = "abc"', LINEAR["b"]),
        ('linear_switches = "a"', LINEAR["c"]),
        ('linear_switches = "acd"', LINEAR["d"]),
        ('linear_switches = "ace"', LINEAR["e"]),
    ),
    grader=Selection("ac", LINEAR),
    remark="Only these merge. All other variants stay beside the model.",
)
