"""Exercises of lesson 9: controls, intervals, numbers of seeds, and a referee's report."""

import math

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Selection
from qtha_lab.lessons.registry import exercise

exercise(
    "9.1",
    "Controls and the causes they rule out",
    difficulty=2,
    minutes=8,
    kind="N",
    answer="causes_ruled_out",
    hints=(
        "What does each control keep, and what does it remove?",
        "The bias keeps only a constant; the product ansatz keeps all but the entangling gates.",
        "Frozen angles keep the circuit and remove its training.",
    ),
    solution="causes_ruled_out = (3, 5, 4, 6, 1, 2)",
    mistakes=(
        (
            "causes_ruled_out = (3, 5, 6, 4, 1, 2)",
            "the product ansatz trains its angles, and frozen angles still entangle: exchanged",
        ),
        (
            "causes_ruled_out = (5, 3, 4, 6, 1, 2)",
            "a bias is a constant and no non-linear function; SiLU layers are: exchanged",
        ),
        (
            "causes_ruled_out = (3, 5, 4, 6, 2, 1)",
            "LoRA of equal size has no networks and no circuit; it compares sizes: exchanged",
        ),
        (
            "causes_ruled_out = (1, 5, 4, 6, 3, 2)",
            "without the circuit the constant is gone too; the bias keeps exactly it: exchanged",
        ),
    ),
    grader=grading.WholeNumbers((3, 5, 4, 6, 1, 2)),
    remark="A control is worth what it removes. Name that before the runs.",
)


def _gaps():
    from qtha_lab.studies.comparison.paired import paired_difference

    draws = np.random.default_rng(0)
    for seeds, rows in ((5, 40), (3, 12), (12, 6)):
        of_rows = draws.normal(size=rows)
        first = 0.3 * draws.normal(size=(seeds, 1)) + of_rows + draws.normal(size=(seeds, rows))
        second = of_rows * 0.5 + draws.normal(size=(seeds, rows))
        right = paired_difference(first, second)
        yield (first, second), (right.mean, right.low, right.high)


def _interval(gaps: str, seeds: str, rows: str, quantile: str = "stats.t.ppf(0.975, {})") -> str:
    """Return the code of an interval from these parts of the squared half-width."""
    of_seeds, of_rows = quantile.format("S - 1"), quantile.format("I - 1")
    return f"""
        def interval(first, second):
            gaps = {gaps}
            (S, I), mean = gaps.shape, gaps.mean()
            by_seed, by_row = gaps.mean(1), gaps.mean(0)
            rest = gaps - by_seed[:, None] - by_row + mean
            ms_rest = (rest**2).sum() / ((S - 1) * (I - 1))
            ms_seeds, ms_rows = I * by_seed.var(ddof=1), S * by_row.var(ddof=1)
            seeds = {seeds.format(t=of_seeds)}
            rows = {rows.format(t=of_rows)}
            half = np.sqrt(seeds + rows)
            return mean, mean - half, mean + half
    """


PAIRED, SEEDS = "first - second", "{t} ** 2 * ms_seeds / (S * I)"
ROWS = "{t} ** 2 * max(ms_rows - ms_rest, 0) / (S * I)"

exercise(
    "9.2",
    "A paired interval over seeds and rows",
    difficulty=3,
    minutes=15,
    kind="F",
    answer="interval",
    hints=(
        "Subtract first: one table of gaps, (seeds, rows). Then take its mean squares.",
        "The part of the seeds is t(S-1)² MS_seeds / (S I), with `stats.t.ppf(0.975, S - 1)`.",
        "The part of the rows is t(I-1)² max(MS_rows - MS_rest, 0) / (S I). Add, then the root.",
    ),
    solution=_interval(PAIRED, SEEDS, ROWS),
    mistakes=(
        (_interval(PAIRED, SEEDS, "0.0"), "the rows are a sample too: their part is missing"),
        (_interval(PAIRED, "0.0", ROWS), "the seeds are a sample too: their part is missing"),
        (
            _interval(PAIRED, SEEDS, ROWS, "1.96"),
            "a normal quantile is too small: the variances are estimated from few seeds",
        ),
        (
            _interval(PAIRED, SEEDS, "{t} ** 2 * ms_rows / (S * I)"),
            "the residual is counted twice: the part of the seeds holds it already",
        ),
        (
            """
            def interval(first, second):
                means = first.mean(1), second.mean(1)
                S = len(first)
                mean = means[0].mean() - means[1].mean()
                error = np.sqrt((means[0].var(ddof=1) + means[1].var(ddof=1)) / S)
                half = stats.t.ppf(0.975, 2 * S - 2) * error
                return mean, mean - half, mean + half
            """,
            "that is unpaired: subtract per seed and row before any mean is taken",
        ),
    ),
    setup="import numpy as np\nfrom scipy import stats",
    grader=grading.Function(
        _gaps,
        label=lambda first, second: (
            f"two tables of {first.shape[0]} seeds and {first.shape[1]} rows"
        ),
    ),
    remark="It is `paired_difference`, the interval of every report of this package.",
)

SPREAD, OF_ROWS, TARGET, ITEMS = 0.03, 0.004, 0.01, 112


def _least_seeds() -> int:
    from scipy import stats

    by_rows = stats.t.ppf(0.975, ITEMS - 1) * OF_ROWS
    for seeds in range(3, 10_000):
        by_seeds = stats.t.ppf(0.975, seeds - 1) * SPREAD / math.sqrt(seeds)
        if math.hypot(by_seeds, by_rows) <= TARGET:
            return seeds
    raise ValueError("no number of seeds is enough")


exercise(
    "9.3",
    "Seeds for a hundredth of a nat",
    difficulty=2,
    minutes=10,
    kind="N",
    answer="n_seeds",
    hints=(
        "The two parts of the half-width add as squares.",
        "The part of the rows is t(111) · 0.004, whatever the number of seeds.",
        "Search S with t(S-1) · 0.03 / √S below the root of what the rows leave of 0.01².",
    ),
    solution="""
        by_rows = stats.t.ppf(0.975, 111) * 0.004
        n_seeds = 3
        while np.hypot(stats.t.ppf(0.975, n_seeds - 1) * 0.03 / np.sqrt(n_seeds), by_rows) > 0.01:
            n_seeds += 1
    """,
    mistakes=(
        ("n_seeds = 37", "that leaves out the rows, whose part no seed reduces"),
        ("n_seeds = 9", "the standard error falls with the root of the number of seeds"),
        ("n_seeds = 230", "the parts add as squares; a sum of the two half-widths is too large"),
        ("n_seeds = 18", "two independent arms were halved: the spread is that of the difference"),
    ),
    setup="import numpy as np\nfrom scipy import stats",
    grader=grading.Number(_least_seeds(), rtol=0.1),
    remark="With a row part above the target, no number of seeds is enough: test more rows.",
)

FAULTS = {
    "a": "a fault: the shared rate suits one method, and the other was not tuned",
    "b": "no fault: the sentence says what was done, and the seeds are many",
    "c": "a fault: LoRA differs in many parts, so it is no control for a circuit",
    "d": "a fault: the best of some seeds is no estimate, and LoRA has only one",
    "e": "a fault: the subset was chosen after the results were seen",
    "f": "no fault: it states an interval, its rule and the unit",
    "g": "a fault: a difference that is not shown is not thereby zero; state the margin",
}

exercise(
    "9.4",
    "Referee an abstract",
    difficulty=2,
    minutes=12,
    kind="E",
    answer="faulty",
    hints=(
        "Rates, control, best-of, subset, and a word for no difference: one fault each.",
        "Two of the seven sentences are exactly what a referee wants to read.",
        "Choose all but the sentence on seeds and the one with an interval.",
    ),
    solution='faulty = "acdeg"',
    mistakes=(
        ('faulty = "cdeg"', FAULTS["a"]),
        ('faulty = "abcdeg"', FAULTS["b"]),
        ('faulty = "adeg"', FAULTS["c"]),
        ('faulty = "aceg"', FAULTS["d"]),
        ('faulty = "acdg"', FAULTS["e"]),
        ('faulty = "acdefg"', FAULTS["f"]),
        ('faulty = "acde"', FAULTS["g"]),
    ),
    grader=Selection("acdeg", FAULTS),
    remark="Five planted faults, one point each; half a point where your report is vague.",
)
