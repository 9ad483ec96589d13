"""Exercises of lesson 3: expectation values and wires."""

import math

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise

exercise(
    "3.1",
    "Means behind a CNOT",
    difficulty=1,
    minutes=4,
    kind="N",
    answer="mean_of_target",
    ranges={"x": (0.7, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2)},
    phrases=("$x = {x}$",),
    hints=(
        "The CNOT copies the 0 or 1 of wire 0 to wire 1.",
        "Wire 1 is 1 with the probability sin²(x/2), exactly as wire 0.",
        "So both wires have the mean cos²(x/2) - sin²(x/2), which is cos x.",
    ),
    solution="mean_of_target = np.cos({x})",
    mistakes=(
        ("mean_of_target = 1.0", "that is wire 1 before the CNOT"),
        ("mean_of_target = 0.0", "the means vanish only at x = π/2"),
        ("mean_of_target = np.sin({x})", "the mean at x = 0 is 1, and a sine is 0 there"),
        (
            "mean_of_target = np.cos({x} / 2) ** 2",
            "that is the probability of 0; the mean subtracts the probability of the other result",
        ),
    ),
    setup="import numpy as np",
    grader=grading.Number(math.cos(0.7), rtol=1e-3),
    remark="Equal means, but one shared bit: the two wires always give the same result.",
)


def _rotations():
    import torch

    random = torch.Generator().manual_seed(0)
    for n, wire, angle in ((3, 0, 0.8), (3, 2, -1.3), (3, 1, 0.4), (2, 0, 2.0)):
        state = torch.randn((2,) * n, generator=random, dtype=torch.float64)
        state = state / state.norm()
        c, s = np.cos(angle / 2), np.sin(angle / 2)
        matrix = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        right = torch.einsum("ab,b...->a...", matrix, state.movedim(wire, 0)).movedim(0, wire)
        yield (state, wire, angle), right


def _label(state, wire, angle):
    return f"a random state of {state.ndim} wires, wire {wire} and angle {angle:g}"


exercise(
    "3.2",
    "A simulator that swaps its wires",
    difficulty=2,
    minutes=10,
    kind="B",
    answer="rotate",
    hints=(
        "Try three wires and rotate wire 0: which entry of |000⟩ becomes non-zero?",
        "Wire 0 is the first axis of the state, in PennyLane's order and in ours.",
        "The axis of a wire is the wire itself; the axis must return to its place afterwards.",
    ),
    solution="""
        def rotate(state, wire, angle):
            zero, one = state.movedim(wire, -1).unbind(-1)
            c, s = np.cos(angle / 2), np.sin(angle / 2)
            return torch.stack([c * zero - s * one, s * zero + c * one], dim=wire)
    """,
    mistakes=(
        (
            """
            def rotate(state, wire, angle):
                axis = state.ndim - 1 - wire
                zero, one = state.movedim(axis, -1).unbind(-1)
                c, s = np.cos(angle / 2), np.sin(angle / 2)
                return torch.stack([c * zero - s * one, s * zero + c * one], dim=axis)
            """,
            "wires are counted from the wrong end; a symmetric state hides this by chance",
        ),
        (
            """
            def rotate(state, wire, angle):
                zero, one = state.movedim(wire, -1).unbind(-1)
                c, s = np.cos(angle / 2), np.sin(angle / 2)
                return torch.stack([c * zero - s * one, s * zero + c * one], dim=-1)
            """,
            "the axis of the wire does not return to its place after the rotation",
        ),
        (
            """
            def rotate(state, wire, angle):
                zero, one = state.movedim(wire, -1).unbind(-1)
                c, s = np.cos(angle), np.sin(angle)
                return torch.stack([c * zero - s * one, s * zero + c * one], dim=wire)
            """,
            "amplitudes take half the angle: RY(2π) is minus the identity",
        ),
        (
            """
            def rotate(state, wire, angle):
                zero, one = state.movedim(wire, -1).unbind(-1)
                c, s = np.cos(angle / 2), np.sin(angle / 2)
                return torch.stack([c * zero + s * one, c * one - s * zero], dim=wire)
            """,
            "the sine has the wrong sign: that is the rotation backwards",
        ),
        (
            """
            def rotate(state, wire, angle):
                axis = state.ndim - 1 - wire
                zero, one = state.movedim(axis, -1).unbind(-1)
                c, s = np.cos(angle / 2), np.sin(angle / 2)
                turned = torch.stack([c * zero - s * one, s * zero + c * one], dim=axis)
                return turned.permute(*reversed(range(state.ndim)))
            """,
            "a reversed result mends the name of the wire and exchanges all the others",
        ),
    ),
    setup="import numpy as np\nimport torch",
    grader=grading.Function(_rotations, label=_label, rtol=1e-9, atol=1e-9),
    remark="Test with unequal angles on three wires. A symmetric input proves nothing here.",
)


def _three_angles():
    import torch

    draws = torch.Generator().manual_seed(1)
    for _ in range(3):
        a, x, b = (torch.randn(5, generator=draws, dtype=torch.float64) for _ in range(3))
        yield (a, x, b), torch.cos(a + x + b)


exercise(
    "3.3",
    "One qubit in one line",
    difficulty=1,
    minutes=4,
    kind="F",
    answer="one_qubit",
    hints=(
        "All three rotations are about the same axis.",
        "Rotations about one axis add their angles.",
        "RY(t) gives ⟨Z⟩ = cos t; here t is a sum of three.",
    ),
    solution="""
        def one_qubit(theta, x, phi):
            return torch.cos(theta + x + phi)
    """,
    mistakes=(
        (
            "one_qubit = lambda theta, x, phi: torch.cos(theta) * torch.cos(x) * torch.cos(phi)",
            (
                "a product of cosines belongs to three qubits; one qubit is a neuron with a cosine,"
                " and its rotations add their angles"
            ),
        ),
        (
            "one_qubit = lambda theta, x, phi: torch.cos((theta + x + phi) / 2)",
            "that is the amplitude of 0: half angles become whole ones when it is squared",
        ),
        (
            "one_qubit = lambda theta, x, phi: torch.cos((theta + x + phi) / 2) ** 2",
            "that is the probability of 0; the mean subtracts the probability of 1",
        ),
        (
            "one_qubit = lambda theta, x, phi: torch.cos(theta) + torch.cos(x) + torch.cos(phi)",
            "a sum of means exceeds 1, and an expectation value of Z does not",
        ),
    ),
    setup="import torch",
    grader=grading.Function(
        _three_angles, label=lambda *angles: "five random angles each", rtol=1e-9, atol=1e-12
    ),
    remark="A cosine of a shifted datum: a classical layer of cosines computes the same.",
)
