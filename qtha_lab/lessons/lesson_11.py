"""Exercises of lesson 11: shots, noise, layers on a line, hours."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction, Selection
from qtha_lab.lessons.registry import exercise

exercise(
    "11.1",
    "Shots for a small error",
    difficulty=1,
    minutes=6,
    kind="N",
    answer="shots_needed",
    hints=(
        "What is the variance of one reading ±1 with mean 0.8?",
        "(1 - 0.8²) / shots = 0.01² for the first number.",
        "The mean of 100 independent estimates has a hundredth of the variance of one.",
    ),
    solution="shots_needed = (round((1 - 0.8**2) / 0.01**2), round((1 - 0.8**2) / 0.01**2 / 100))",
    mistakes=(
        ("shots_needed = (2000, 20)", "the variance is 1 - z², not 1 - z"),
        ("shots_needed = (36, 1)", "the error enters squared"),
        ("shots_needed = (10000, 100)", "that is for ⟨Z⟩ = 0, the worst case"),
        (
            "shots_needed = (3600, 360)",
            "the error of a mean falls with the root of their number; its variance with the number",
        ),
        (
            "shots_needed = (3600, 3600)",
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

QUARTER = 0.25
FAULTS = {
    "state": "the state of a Chip explorer is expected, such as chip or chip.state",
    "chip": "the chip is a line of 4 qubits with an error of 0.02 for a CZ",
    "less": "less than a quarter of the signal is left with so many layers",
    "more": "with one more layer at least a quarter of the signal is left still",
}


def _signal(state: dict, more: int = 0) -> float:
    from qtha_lab.experiment.cost.chip import chip_budget

    layers = state["n_layers"] + more
    return chip_budget(4, layers, topology="line", cz_error=state["cz_error"]).signal


def _is_state(state) -> bool:
    return isinstance(state, dict) and {"topology", "n_qubits", "n_layers"} <= set(state)


def _is_chip(state) -> bool:
    return (state["topology"], state["n_qubits"], state["cz_error"]) == ("line", 4, 0.02)


exercise(
    "11.3",
    "Layers that a line leaves",
    difficulty=2,
    minutes=6,
    kind="X",
    answer="deepest",
    hints=(
        "Set topology, qubits and error first, then move the layers.",
        "Read *signal left* in the table for each number of layers.",
        "It falls below a quarter with the last layer that the slider offers.",
    ),
    solution='deepest = Chip(topology="line", n_qubits=4, n_layers=3, cz_error=0.02)',
    mistakes=(
        ("deepest = 3", FAULTS["state"]),
        (
            "deepest = {'topology': 'ring', 'n_qubits': 4, 'n_layers': 4, 'cz_error': 0.02}",
            FAULTS["chip"],
        ),
        (
            "deepest = {'topology': 'line', 'n_qubits': 4, 'n_layers': 4, 'cz_error': 0.02}",
            FAULTS["less"],
        ),
        (
            "deepest = {'topology': 'line', 'n_qubits': 4, 'n_layers': 2, 'cz_error': 0.02}",
            FAULTS["more"],
        ),
    ),
    setup="from qtha_lab.widgets import Chip",
    grader=Construction(
        (
            (_is_state, FAULTS["state"]),
            (_is_chip, FAULTS["chip"]),
            (lambda state: _signal(state) >= QUARTER, FAULTS["less"]),
            (lambda state: _signal(state, more=1) < QUARTER, FAULTS["more"]),
        )
    ),
    remark="A ring leaves one layer more: the line needs two SWAPs per layer, of three CZ each.",
)

HOURS = 225 * 500 * 12 * 40 * 1000 / 1000 / 3600

exercise(
    "11.4",
    "Hours of a run on a chip",
    difficulty=2,
    minutes=8,
    kind="N",
    answer="hours",
    hints=(
        "How many circuits does one token of one layer need, with gradients?",
        "225 runs, times 500 tokens, times 12 layers, times 40 steps.",
        "Each run takes 1,000 shots, and the chip makes 1,000 shots per second.",
    ),
    solution="hours = 225 * 500 * 12 * 40 * 1000 / 1000 / 3600",
    mistakes=(
        ("hours = 500 * 12 * 40 / 3600", "the gradients need circuits of their own: shifts"),
        ("hours = 225 * 12 * 40 / 3600", "every token is another circuit, with other input angles"),
        ("hours = 225 * 500 * 40 / 3600", "every adapted layer has its own circuits"),
        ("hours = 225 * 500 * 12 * 40", "that is in seconds"),
        ("hours = 225 * 500 * 12 / 3600", "that is one step of the run"),
    ),
    grader=grading.Number(HOURS, rtol=0.5),
    remark="Lesson 7 trained such runs on this machine, with exact circuits, while you read.",
)
