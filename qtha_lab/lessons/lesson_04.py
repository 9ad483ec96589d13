"""Exercises of lesson 4: frequencies of a read-out, and their coefficients."""

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction, Selection
from qtha_lab.lessons.registry import exercise
from qtha_lab.lessons.time_limit import ENGINE

exercise(
    "4.1",
    "Highest frequency",
    difficulty=1,
    minutes=4,
    kind="N",
    answer="frequency",
    ranges={"n": (3, 4, 5)},
    phrases=("{n} layers",),
    hints=(
        "Which frequency can one rotation by 2x add?",
        "A rotation by s · x adds at most s, and frequencies of several uploads add up.",
        "Multiply the number of uploads by the scale.",
    ),
    solution="frequency = {n} * 2",
    mistakes=(
        ("frequency = {n}", "the scale is missing: each upload rotates by twice the datum"),
        ("frequency = 2**{n}", "frequencies of uploads add; dimensions of qubits multiply"),
        ("frequency = {n} + 1", "that counts the constant beside one frequency per upload"),
        ("frequency = 2", "that is one upload; the others add to it"),
    ),
    grader=grading.Number(6),
    remark="The trained angles set the coefficients only. Data and scale set the frequencies.",
)


def _counted(circuits) -> bool:
    return all(circuit.counts() == {"RY": 6, "CNOT": 3} for circuit in circuits)


def _highest(circuit) -> float:
    from qtha_lab.analysis.circuits.fourier import fourier_spectrum

    return fourier_spectrum(circuit, observables=["Z0"], n_samples=20, engine=ENGINE).highest()


def _is_pair(answer) -> bool:
    return len(answer) == 2 and all(circuit.n_qubits == 2 for circuit in answer)


PAIR = "a tuple of two circuits of two wires is expected"
COUNTS = "each circuit has six RY and three CNOT gates, no more and no fewer"
FIRST = (
    "the first circuit lacks frequency 3 in ⟨Z0⟩: uploads count only if they reach wire 0, and"
    " depth without uploads adds nothing"
)
SECOND = "⟨Z0⟩ of the second circuit has no highest frequency of 1: its datum enters once"

exercise(
    "4.2",
    "One gate count, two spectra",
    difficulty=2,
    minutes=10,
    kind="C",
    answer="two_circuits",
    hints=(
        "What adds a frequency: a gate, or a gate whose angle is the datum?",
        "Three uploads on wire 0 in one circuit, one upload in the other.",
        "Fill both with trained RY gates up to six, and put three CNOT(0, 1) between them.",
    ),
    solution="""
        def with_uploads(n):
            data = [Gate("RY", 0, Angle.input(0)) for _ in range(n)]
            trained = [Gate("RY", 1, Angle.param(k)) for k in range(6 - n)]
            return Circuit(2, [*data, *trained, *[Gate("CNOT", (0, 1))] * 3])

        two_circuits = (with_uploads(3), with_uploads(1))
    """,
    mistakes=(
        ("two_circuits = (Circuit(3, []), Circuit(3, []))", PAIR),
        (
            """
            upload = Gate("RY", 0, Angle.input(0))
            two_circuits = (Circuit(2, [upload] * 3), Circuit(2, [upload]))
            """,
            COUNTS,
        ),
        (
            """
            upload, cnot = Gate("RY", 0, Angle.input(0)), Gate("CNOT", (0, 1))
            trained = [Gate("RY", k % 2, Angle.param(k)) for k in range(5)]
            deep = Circuit(2, [upload, *trained, *[cnot] * 3])
            two_circuits = (deep, deep)
            """,
            FIRST,
        ),
        (
            """
            upload, cnot = Gate("RY", 0, Angle.input(0)), Gate("CNOT", (0, 1))
            trained = [Gate("RY", 1, Angle.param(k)) for k in range(3)]
            three = Circuit(2, [*[upload] * 3, *trained, *[cnot] * 3])
            two_circuits = (three, three)
            """,
            SECOND,
        ),
    ),
    setup="from qtha_lab.circuits import Angle, Circuit, Gate",
    grader=Construction(
        (
            (_is_pair, PAIR),
            (_counted, COUNTS),
            (lambda circuits: _highest(circuits[0]) == 3, FIRST),
            (lambda circuits: _highest(circuits[1]) == 1, SECOND),
        )
    ),
    remark="Equal gates, equal depth, unequal spectra: only the place of the datum differs.",
)


def _waves():
    for c in ((0.3, 0.5, -0.2, 0.1, 0.4), (-0.6, 0.0, 0.7, -0.3, 0.2)):

        def wave(x, c=c):
            return (
                c[0]
                + c[1] * np.cos(x)
                + c[2] * np.sin(x)
                + c[3] * np.cos(2 * x)
                + c[4] * np.sin(2 * x)
            )

        yield (wave,), c


exercise(
    "4.3",
    "Coefficients of a read-out",
    difficulty=2,
    minutes=10,
    kind="F",
    answer="coefficients",
    hints=(
        "Five unknowns need five values of f at least.",
        "With N equal steps over 2π, the sum of f(x) cos kx is N/2 times a coefficient.",
        "c₀ is the mean of f; the others are 2 · mean(f cos kx) and 2 · mean(f sin kx).",
    ),
    solution="""
        def coefficients(f):
            x = 2 * np.pi * np.arange(8) / 8
            y = np.array([f(angle) for angle in x])
            waves = [w(k * x) for k in (1, 2) for w in (np.cos, np.sin)]
            return [y.mean(), *(2 * (y * wave).mean() for wave in waves)]
    """,
    mistakes=(
        (
            """
            def coefficients(f):
                x = 2 * np.pi * np.arange(3) / 3
                y = np.array([f(angle) for angle in x])
                waves = [w(k * x) for k in (1, 2) for w in (np.cos, np.sin)]
                return [y.mean(), *(2 * (y * wave).mean() for wave in waves)]
            """,
            "three values for five unknowns: frequency 2 is read as frequency 1 (aliasing)",
        ),
        (
            """
            def coefficients(f):
                x = 2 * np.pi * np.arange(8) / 8
                y = np.array([f(angle) for angle in x])
                waves = [w(k * x) for k in (1, 2) for w in (np.cos, np.sin)]
                return [0.0, *(2 * (y * wave).mean() for wave in waves)]
            """,
            "the constant is missing: a read-out has a mean over the datum",
        ),
        (
            """
            def coefficients(f):
                x = 2 * np.pi * np.arange(8) / 8
                y = np.array([f(angle) for angle in x])
                waves = [w(k * x) for k in (1, 2) for w in (np.cos, np.sin)]
                return [y.mean(), *((y * wave).mean() for wave in waves)]
            """,
            "the mean square of a cosine is one half: these coefficients lack its factor",
        ),
        (
            """
            def coefficients(f):
                x = 2 * np.pi * np.arange(8) / 8
                y = np.array([f(angle) for angle in x])
                c = np.fft.rfft(y) / 8
                return [c[0].real, 2 * c[1].real, 2 * c[1].imag, 2 * c[2].real, 2 * c[2].imag]
            """,
            "np.fft multiplies by exp(-ikx): the sine has the opposite sign of the imaginary part",
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(_waves, label=lambda f: "a sum of five terms"),
    remark="A layer of cosines has the same form, so a Fourier sum is no advantage by itself.",
)

RANKINGS = {
    "a": "a divergence with its error and its floor is a measurement that can be repeated",
    "b": "two measures that disagree are a result: whoever sees one of them is misled",
    "c": "what a family is for is a fit, on points that were not fitted",
    "d": "entanglement is a property of states, and says nothing about a fit",
    "e": "with 500 pairs the floor of random states is as large as the differences",
    "f": "points that were fitted do not show what happens between them",
    "g": "a layer of cosines is a Fourier series too, so the series is no advantage of a circuit",
}

exercise(
    "4.4",
    "A ranking for a paper",
    difficulty=2,
    minutes=6,
    kind="E",
    answer="may_be_printed",
    hints=(
        "Which sentences name what would make the number differ tomorrow?",
        "A floor, an error, a disagreement: what is left out by the others?",
        "Three letters may be printed; one of them asks for held-out points.",
    ),
    solution='may_be_printed = "abc"',
    mistakes=(
        ('may_be_printed = "bc"', RANKINGS["a"]),
        ('may_be_printed = "ac"', RANKINGS["b"]),
        ('may_be_printed = "ab"', RANKINGS["c"]),
        ('may_be_printed = "abcd"', RANKINGS["d"]),
        ('may_be_printed = "abce"', RANKINGS["e"]),
        ('may_be_printed = "abcf"', RANKINGS["f"]),
        ('may_be_printed = "abcg"', RANKINGS["g"]),
    ),
    grader=Selection("abc", RANKINGS),
    remark="Rubric: error bar, floor, disagreement named, held-out points; one point each.",
)
