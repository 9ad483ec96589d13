"""Exercises of lesson 3: states with given means, and their entropy."""

import math

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import exercise

SIGNS = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])  # eigenvalues of Z₀ and Z₁


def _means(state) -> tuple[float, float, float]:
    p = np.abs(state) ** 2
    return float(SIGNS[0] @ p), float(SIGNS[1] @ p), float((SIGNS[0] * SIGNS[1]) @ p)


def _vectors(states):
    vectors = [np.asarray(state, dtype=complex).reshape(-1) for state in states]
    return vectors if [v.size for v in vectors] == [4, 4, 4] else []


def _has_entropy(state) -> bool:
    values = np.linalg.svd(state.reshape(2, 2), compute_uv=False) ** 2
    return bool(np.allclose(values, 0.5, atol=1e-4))


def _correlated(states, index: int, value: float) -> bool:
    return bool(np.isclose(_means(_vectors(states)[index])[2], value, atol=1e-6))


SHAPE = "three states of four amplitudes each are expected; a density matrix is a mixture"
NORM = "the squared amplitudes of a state add up to 1"
MEANS = "one of the states has a wire whose ⟨Z⟩ is not zero"
FIRST = "the first state must give equal results on both wires, every time"
SECOND = "the second state must give opposite results on both wires, every time"
THIRD = "the third state needs uncorrelated results, and an entropy of one bit: no product has it"

exercise(
    "3.4",
    "States with given means",
    difficulty=3,
    minutes=12,
    kind="C",
    answer="three_states",
    hints=(
        "The amplitudes belong to |00⟩, |01⟩, |10⟩ and |11⟩; ⟨Z₀ Z₁⟩ weights them + - - +.",
        "Equal results every time: only |00⟩ and |11⟩. Opposite results: only |01⟩ and |10⟩.",
        "Third: four equal probabilities, and one sign that makes it no product: CZ on |++⟩.",
    ),
    solution="""
        three_states = [
            np.array([1, 0, 0, 1]) / np.sqrt(2),
            np.array([0, 1, 1, 0]) / np.sqrt(2),
            np.array([1, 1, 1, -1]) / 2,
        ]
    """,
    mistakes=(
        ("three_states = [np.eye(4) / 4] * 3", SHAPE),
        ("three_states = [[1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 1, -1]]", NORM),
        ("three_states = [[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0.5, -0.5]]", MEANS),
        ("three_states = [[0.5, 0.5, 0.5, 0.5]] * 3", FIRST),
        (
            """
            same = np.array([1, 0, 0, 1]) / np.sqrt(2)
            three_states = [same, same, same]
            """,
            SECOND,
        ),
        (
            """
            same, other = np.array([[1, 0, 0, 1], [0, 1, 1, 0]]) / np.sqrt(2)
            three_states = [same, other, np.ones(4) / 2]
            """,
            THIRD,
        ),
    ),
    setup="import numpy as np",
    grader=Construction(
        (
            (lambda states: bool(_vectors(states)), SHAPE),
            (
                lambda states: np.allclose(
                    [np.linalg.norm(v) for v in _vectors(states)], 1, atol=1e-4
                ),
                NORM,
            ),
            (
                lambda states: np.allclose([_means(v)[:2] for v in _vectors(states)], 0, atol=1e-4),
                MEANS,
            ),
            (lambda states: _correlated(states, 0, 1), FIRST),
            (lambda states: _correlated(states, 1, -1), SECOND),
            (
                lambda states: _correlated(states, 2, 0) and _has_entropy(_vectors(states)[2]),
                THIRD,
            ),
        )
    ),
    remark="Entanglement does not need a correlation of these two measurements.",
)


def _pairs():
    for t in (0.0, 0.4, math.pi / 2, 2.5):
        p = math.cos(t / 2) ** 2
        yield (t,), -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


exercise(
    "3.5",
    "Entropy of an entangled pair",
    difficulty=2,
    minutes=8,
    kind="F",
    answer="pair_entropy",
    hints=(
        "After RY(t) on wire 0 and CNOT(0, 1) the state is cos(t/2)|00⟩ + sin(t/2)|11⟩.",
        "Each wire alone is 0 with the probability p = cos²(t/2), 1 with 1 - p.",
        "-Σ p log₂ p over the two probabilities; a probability of 0 adds nothing.",
    ),
    solution="""
        def pair_entropy(t):
            p = np.cos(t / 2) ** 2
            return -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
    """,
    mistakes=(
        (
            "pair_entropy = lambda t: np.sin(t) ** 2",
            "it is 0 and 1 at the right places, but that is the Meyer–Wallach measure of the pair",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t / 2) ** 2
                return -sum(q * np.log(q) for q in (p, 1 - p) if q > 0)
            """,
            "that is in nats: bits take the logarithm of base 2",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t) ** 2
                return -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
            """,
            "the probabilities take half the angle",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t / 2) ** 2
                return -2 * sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
            """,
            "the two wires share one entropy; it is not counted once per wire",
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(_pairs),
    remark="At t = π/2 it is the Bell pair, 1 bit: the most that one wire can share.",
)
