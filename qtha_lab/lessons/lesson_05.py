"""Predictions and exercises of lesson 5: gradients of one angle from circuit runs."""

import math

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.predictions import prediction
from qtha_lab.lessons.registry import exercise

prediction(
    "5.a",
    "8 of the 16 angles belong to CRZ gates. Does the shift rule above give their gradients too?",
    options=("yes", "no"),
    answer="no",
    misconceptions={"yes": "a CRZ has two frequencies, and two runs fit one"},
)
prediction(
    "5.b",
    "The adjoint method gives the gradients of all angles in a few passes. Can a chip use it?",
    options=("yes", "no"),
    answer="no",
    misconceptions={"yes": "it holds two states side by side, and a chip returns means of one"},
)
prediction(
    "5.c",
    "By which factor does the time per sample fall from a batch of 1 to a batch of 256?",
    options=("below 2", "2 to 10", "above 10"),
    misconceptions={"below 2": "planning and leaving Python cost the same for any batch"},
)


# f(t) = a + b cos t + c sin t + d cos t/2 + e sin t/2; an RY has d = e = 0, a CRZ need not
def _wave(a: float, b: float, c: float, d: float = 0, e: float = 0):
    def wave(t):
        return a + b * np.cos(t) + c * np.sin(t) + d * np.cos(t / 2) + e * np.sin(t / 2)

    wave.gradient = lambda t: (
        -b * math.sin(t) + c * math.cos(t) - d / 2 * math.sin(t / 2) + e / 2 * math.cos(t / 2)
    )
    terms = zip((a, b, c, d, e), ("", " cos t", " sin t", " cos t/2", " sin t/2"), strict=True)
    wave.__name__ = " + ".join(f"{factor:g}{term}" for factor, term in terms if factor)
    return wave


def _gradients(*waves):
    return [((wave, t), wave.gradient(t)) for wave in waves for t in (0.0, 0.8, 2.0)]


RY = _wave(0.2, 0.7, -0.4), _wave(0, 1, 0)
CRZ = _wave(0.1, 0.3, -0.2, 0.25, 0.4), _wave(0, 0, 0, 0, 1), *RY
SPREAD = 1e-3  # standard error of an expectation value after a million shots
LOUDEST = 5  # largest error of a gradient, in standard errors of an expectation value
TOO_NEAR = (
    f"without noise its values are right; with a standard error of {SPREAD:g} per reading, that of"
    f" a million shots, the gradient is off by more than {LOUDEST} times as much: the places lie"
    " too near"
)


def _survives_shots(answer):
    """Refuse a rule that amplifies the shot noise of its measurements."""
    wave, draws = RY[0], np.random.default_rng(0)

    def noisy(t):
        return wave(t) + SPREAD * draws.normal(size=np.shape(t))

    errors = [float(answer(noisy, 0.8)) - wave.gradient(0.8) for _ in range(50)]
    if np.sqrt(np.mean(np.square(errors))) > LOUDEST * SPREAD:
        raise grading.WrongAnswer(TOO_NEAR)


def _label(f, t):
    return f"({f.__name__}, {t:g})"


exercise(
    "5.1",
    "A gradient from two runs",
    difficulty=2,
    minutes=10,
    kind="F",
    answer="gradient_ry",
    hints=(
        (
            "f(t) = a + b cos t + c sin t. Which difference of two values is a multiple of -b sin t"
            " + c cos t?"
        ),
        "Evaluate f at t ± π/2: what is cos(t + π/2)?",
        "(f(t + π/2) - f(t - π/2)) / 2. It is exact: no small step is needed.",
    ),
    solution="""
        def gradient_ry(f, t):
            return (f(t + np.pi / 2) - f(t - np.pi / 2)) / 2
    """,
    mistakes=(
        (
            "gradient_ry = lambda f, t: f(t + np.pi / 2) - f(t - np.pi / 2)",
            "try f = sin at 0: its derivative there is half of this difference",
        ),
        (
            "gradient_ry = lambda f, t: (f(t + 0.1) - f(t - 0.1)) / 0.2",
            (
                "a difference over a small step is close to the derivative but not equal to it; use"
                " a large step"
            ),
        ),
        (
            "gradient_ry = lambda f, t: (f(t + 0.01) - f(t - 0.01)) / 0.02",
            "a small step hides its error and divides shot noise by the step: go far apart instead",
        ),
        (
            "gradient_ry = lambda f, t: (f(t + 1e-5) - f(t - 1e-5)) / 2e-5",
            TOO_NEAR,
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(lambda: _gradients(*RY), label=_label, rtol=1e-6),
    extra_check=_survives_shots,
    remark="A chip can do this too, while it cannot take a small step: shot noise would drown it.",
)

exercise(
    "5.2",
    "A gradient of a controlled rotation",
    difficulty=3,
    minutes=15,
    kind="F",
    answer="gradient_crz",
    hints=(
        (
            "Shift by s: f(t + s) - f(t - s) = 2 sin(s) · (the derivative's part of frequency 1) "
            "+ 4 sin(s/2) · (its part of frequency ½). Two such differences, two unknowns."
        ),
        (
            "With s = π/2 and s = 3π/2: sin is 1 and -1, sin of the half is 1/√2 both times. "
            "Call the differences D₁ and D₃ and find u, v with u D₁ - v D₃ = derivative."
        ),
        "2u + 2v = 1 and 2√2 (u - v) = 1: u = (√2 + 1) / (4√2), v = (√2 - 1) / (4√2).",
    ),
    solution="""
        def gradient_crz(f, t):
            root = np.sqrt(2)
            u, v = (root + 1) / (4 * root), (root - 1) / (4 * root)
            near = f(t + np.pi / 2) - f(t - np.pi / 2)
            far = f(t + 3 * np.pi / 2) - f(t - 3 * np.pi / 2)
            return u * near - v * far
    """,
    mistakes=(
        (
            "gradient_crz = lambda f, t: (f(t + np.pi / 2) - f(t - np.pi / 2)) / 2",
            "that is the rule of two terms: it overrates the part of frequency ½ by √2",
        ),
        (
            "gradient_crz = lambda f, t: (f(t + np.pi) - f(t - np.pi)) / 4",
            "that is exact for the part of frequency ½ and blind for the part of frequency 1",
        ),
        (
            """
            def gradient_crz(f, t):
                near = (f(t + np.pi / 2) - f(t - np.pi / 2)) / 2
                far = (f(t + np.pi) - f(t - np.pi)) / 4
                return (near + far) / 2
            """,
            "the mean of two rules of two terms: each is wrong for one frequency, in its own way",
        ),
        (
            "gradient_crz = lambda f, t: (f(t + 1e-5) - f(t - 1e-5)) / 2e-5",
            TOO_NEAR,
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(lambda: _gradients(*CRZ), label=_label, rtol=1e-6),
    extra_check=_survives_shots,
    remark=(
        "Four runs per angle instead of two, for half of QTHA's angles. It holds for RY as well."
    ),
)
