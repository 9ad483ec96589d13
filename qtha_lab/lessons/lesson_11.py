"""Exercises of lesson 11: shots, noise, layers on a line, hours."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction, Selection
from qtha_lab.lessons.registry import Constants, exercise, filled

exercise(
    "11.1",
    "Shots for a small error",
    difficulty=1,
    minutes=6,
    kind="N",
    answer="shots_needed",
    ranges={"z": (0.8, 0.6), "e": (0.01, 0.02)},
    phrases=("rangle = {z}$", "error of {e}?"),
    hints=(
        "What is the variance of one reading ±1 with mean {z}?",
        "(1 - {z}²) / shots = {e}² for the first number.",
        "The mean of 100 independent estimates has a hundredth of the variance of one.",
    ),
    solution="""
        alone = round((1 - {z}**2) / {e}**2)
        shots_needed = (alone, alone // 100)
    """,
    mistakes=(
        (
            "shots_needed = (round((1 - {z}) / {e}**2), round((1 - {z}) / {e}**2 / 100))",
            "the variance is 1 - z², not 1 - z",
        ),
        ("shots_needed = (round((1 - {z}**2) / {e}), 1)", "the error enters squared"),
        (
            "shots_needed = (round(1 / {e}**2), round(1 / {e}**2 / 100))",
            "that is for ⟨Z⟩ = 0, the worst case",
        ),
        (
            "shots_needed = (round((1 - {z}**2) / {e}**2), round((1 - {z}**2) / {e}**2 / 10))",
            "the error of a mean falls with the root of their number; its variance with the number",
        ),
        (
            "shots_needed = (round((1 - {z}**2) / {e}**2),) * 2",
            "the estimates of other tokens are independent, so their mean needs fewer shots each",
        ),
    ),
    grader=grading.WholeNumbers((3600, 36)),
    remark="A gradient is a mean over tokens, so it forgives shot noise. It never forgives a bias.",
)

UNDONE = {
    "a": "a common factor: W_q multiplies the means, so it can be made larger by its inverse",
    "b": "a common offset: it adds a constant, which a bias behind the circuit can remove",
    "c": "scatter differs from token to token, so no fixed matrix or bias removes it",
    "d": "scatter of the shots is new at each call: it can be averaged, not learnt",
    "e": "the factor is undone at a price: the scatter is multiplied by the same number",
}

exercise(
    "11.2",
    "What can be learnt away?",
    difficulty=2,
    minutes=6,
    kind="E",
    answer="can_be_said",
    hints=(
        "Which of the three is the same number for every token?",
        "A matrix undoes a factor, a bias an offset. What happens to the scatter then?",
        "Two effects can be undone, and one sentence names the price.",
    ),
    solution='can_be_said = "abe"',
    mistakes=(
        ('can_be_said = "be"', UNDONE["a"]),
        ('can_be_said = "ae"', UNDONE["b"]),
        ('can_be_said = "abce"', UNDONE["c"]),
        ('can_be_said = "abde"', UNDONE["d"]),
        ('can_be_said = "ab"', UNDONE["e"]),
    ),
    grader=Selection("abe", UNDONE),
    remark="Undoing a factor of ten costs a hundred times as many shots.",
)

FAULTS = {
    "state": "the state of a Chip explorer is expected, such as chip or chip.state",
    "chip": "the chip is a line of 4 qubits with an error of 0.02 for a CZ",
    "less": "less than {q} % of the signal is left with so many layers",
    "more": "with one more layer at least {q} % of the signal is left still",
}


def _signal(state: dict, more: int = 0) -> float:
    from qtha_lab.experiment.cost.chip import chip_budget

    layers = state["n_layers"] + more
    return chip_budget(4, layers, topology="line", cz_error=state["cz_error"]).signal


def _is_state(state) -> bool:
    return isinstance(state, dict) and {"topology", "n_qubits", "n_layers"} <= set(state)


def _is_chip(state) -> bool:
    return (state["topology"], state["n_qubits"], state["cz_error"]) == ("line", 4, 0.02)


def _deepest(constants: Constants) -> Construction:
    """Return the grader of the deepest circuit that leaves this share of the signal."""
    least = constants["q"] / 100
    return Construction(
        (
            (_is_state, FAULTS["state"]),
            (_is_chip, FAULTS["chip"]),
            (lambda state: _signal(state) >= least, filled(FAULTS["less"], constants)),
            (lambda state: _signal(state, more=1) < least, filled(FAULTS["more"], constants)),
        )
    )


DEPTH = """
left_by = {n: chip_budget(4, n, topology="line", cz_error=0.02).signal for n in (1, 2, 3, 4)}
n_most = max(n for n, signal in left_by.items() if signal >= {q} / 100)
"""


def _state(layers: str, topology: str = "line") -> str:
    state = f"'topology': {topology!r}, 'n_qubits': 4, 'cz_error': 0.02, 'n_layers': {layers}"
    return f"{DEPTH}deepest = {{{state}}}"


exercise(
    "11.3",
    "Layers that a line leaves",
    difficulty=2,
    minutes=6,
    kind="X",
    answer="deepest",
    ranges={"q": (25, 30, 40)},
    phrases=("least {q} % of",),
    hints=(
        "Set topology, qubits and error first, then move the layers.",
        "Read *signal left* in the table for each number of layers.",
        "Take the last number of layers at which *signal left* is not below {q} %.",
    ),
    solution=DEPTH + 'deepest = Chip(topology="line", n_qubits=4, n_layers=n_most, cz_error=0.02)',
    mistakes=(
        ("deepest = 3", FAULTS["state"]),
        (_state("n_most", "ring"), FAULTS["chip"]),
        (_state("n_most + 1"), FAULTS["less"]),
        (_state("n_most - 1"), FAULTS["more"]),
    ),
    setup=(
        "from qtha_lab.experiment.cost.chip import chip_budget\nfrom qtha_lab.widgets import Chip"
    ),
    grader_of=_deepest,
    remark="The line needs two SWAPs per layer, of three CZ each; a ring needs none.",
)

HOURS = 225 * 500 * 12 * 40 * 1000 / 1000 / 3600

exercise(
    "11.4",
    "Hours of a run on a chip",
    difficulty=2,
    minutes=8,
    kind="N",
    answer="hours",
    ranges={"k": (1000, 500, 2000, 5000)},
    phrases=("makes {k:,} shots",),
    hints=(
        "How many circuits does one token of one layer need, with gradients?",
        "225 runs, times 500 tokens, times 12 layers, times 40 steps.",
        "Each run takes 1,000 shots, and the chip makes {k:,} shots per second.",
    ),
    solution="hours = 225 * 500 * 12 * 40 * 1000 / {k} / 3600",
    mistakes=(
        (
            "hours = 500 * 12 * 40 * 1000 / {k} / 3600",
            "the gradients need circuits of their own: shifts",
        ),
        (
            "hours = 225 * 12 * 40 * 1000 / {k} / 3600",
            "every token is another circuit, with other input angles",
        ),
        (
            "hours = 225 * 500 * 40 * 1000 / {k} / 3600",
            "every adapted layer has its own circuits",
        ),
        ("hours = 225 * 500 * 12 * 40 * 1000 / {k}", "that is in seconds"),
        ("hours = 225 * 500 * 12 * 1000 / {k} / 3600", "that is one step of the run"),
    ),
    grader=grading.Number(HOURS, rtol=0.5),
    remark="Lesson 7 trained such runs on this machine, with exact circuits, while you read.",
)
