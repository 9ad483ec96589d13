"""Exercises of lesson 3: means of qubits, entropy of a pair, slopes by shifts, shots."""

import math

from qtha_lab.exercises import judge
from qtha_lab.exercises.registry import exercise


@exercise(
    "3.1",
    "Two turns of one qubit",
    difficulty=1,
    minutes=5,
    answer="mean_z",
    hints=(
        "Two turns about the same axis are one turn: which angle has it?",
        "RY(a) then RY(b) is RY(a + b), and ⟨Z⟩ of RY(t) is cos t.",
    ),
    solution="""
        def mean_z(a, b):
            return np.cos(a + b)
    """,
    wrong=(
        "mean_z = lambda a, b: np.cos(a) + np.cos(b)",
        "mean_z = lambda a, b: np.cos(a) * np.cos(b)",
        "mean_z = lambda a, b: np.cos((a + b) / 2) ** 2",
    ),
    given="import numpy as np",
)
def _(answer):
    cases = [(0.0, 0.0), (0.3, 0.9), (math.pi / 2, math.pi / 2), (-1.0, 2.5)]
    judge.on_cases(answer, [((a, b), math.cos(a + b)) for a, b in cases])
    return "This is why uploading a datum twice can double its frequency: cos 2x."


@exercise(
    "3.2",
    "Entropy of a turned pair",
    difficulty=2,
    minutes=10,
    answer="pair_entropy",
    hints=(
        "After RY(t) on wire 0 and CNOT(0, 1) the state is cos(t/2)|00⟩ + sin(t/2)|11⟩.",
        "Each wire alone is 0 with the chance p = cos²(t/2), 1 with 1 - p.",
        "-Σ p log₂ p over the two chances; a chance of 0 adds nothing.",
    ),
    solution="""
        def pair_entropy(t):
            p = np.cos(t / 2) ** 2
            return -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
    """,
    wrong=(
        "pair_entropy = lambda t: np.sin(t) ** 2",
        "pair_entropy = lambda t: -sum(q * np.log(q) for q in (np.cos(t / 2) ** 2, np.sin(t / 2) ** 2) if q > 0)",
    ),
    given="import numpy as np",
)
def _(answer):
    def right(t):
        p = math.cos(t / 2) ** 2
        return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)

    judge.on_cases(answer, [((t,), right(t)) for t in (0.0, 0.4, math.pi / 2, 2.5)])
    return "At t = π/2 it is the Bell pair, 1 bit: the most that one wire can share."


@exercise(
    "3.3",
    "A slope from two runs",
    difficulty=2,
    minutes=10,
    answer="slope",
    hints=(
        "f(t) = a + b cos t + c sin t. Which difference of two values is a multiple of -b sin t + c cos t?",
        "(f(t + π/2) - f(t - π/2)) / 2. It is exact: no small step is needed.",
    ),
    solution="""
        def slope(f, t):
            return (f(t + np.pi / 2) - f(t - np.pi / 2)) / 2
    """,
    wrong=(
        "slope = lambda f, t: f(t + np.pi / 2) - f(t - np.pi / 2)",
        "slope = lambda f, t: (f(t + 0.1) - f(t - 0.1)) / 0.2",
    ),
    given="import numpy as np",
)
def _(answer):
    waves = [(0.2, 0.7, -0.4), (0.0, 1.0, 0.0)]
    cases = [
        ((_wave(a, b, c), t), -b * math.sin(t) + c * math.cos(t))
        for a, b, c in waves
        for t in (0.0, 0.8, 2.0)
    ]
    judge.on_cases(answer, cases, told=lambda f, t: f"({f.__name__}, {t:g})")
    return "A chip can do this too, while it cannot take a small step: shot noise would drown it."


def _wave(a: float, b: float, c: float):
    def wave(t):
        return a + b * math.cos(t) + c * math.sin(t)

    wave.__name__ = f"{a:g} + {b:g} cos t + {c:g} sin t"
    return wave


@exercise(
    "3.4",
    "Shots for two digits",
    difficulty=1,
    minutes=5,
    answer="shots",
    hints=(
        "The standard error of the mean of ±1 with expectation z is √((1 - z²) / shots).",
        "(1 - 0.6²) / shots = 0.01².",
    ),
    solution="shots = (1 - 0.6**2) / 0.01**2",
    wrong=("shots = 1 / 0.01**2", "shots = (1 - 0.6) / 0.01**2", "shots = 64"),
)
def _(answer):
    traps = {
        10_000: "that is for ⟨Z⟩ = 0, the worst case",
        4_000: "the variance is 1 - z², not 1 - z",
        64: "the error enters squared",
    }
    judge.number(answer, 6_400, traps=traps)
    return "For one circuit, at one token of one layer. One digit fewer costs a hundredth of it."
