"""Predictions and exercises of the tour: parameters, equal sizes, runs before a claim."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction, Selection
from qtha_lab.lessons.predictions import prediction
from qtha_lab.lessons.registry import exercise

prediction(
    "0.a",
    "Which method has the lowest evaluation loss after a hundred steps?",
    options=("QTHA", "LoRA, r = 1", "LoRA, r = 8"),
)
prediction("0.b", "How many angles of this circuit are trained?", number=True)
prediction(
    "0.c",
    "Is QTHA of the published size smaller or larger than LoRA of r = 8 on the toy?",
    options=("smaller", "larger"),
    answer="larger",
    misconceptions={"smaller": "the saving needs layers much wider than the waist"},
)
prediction(
    "0.d",
    "Two simulators train the same QTHA. How far do their losses agree?",
    options=("to the last digit", "to a few digits", "not at all"),
    misconceptions={
        "to the last digit": "they add 32-bit numbers in another order",
        "not at all": "both compute the same function",
    },
)

exercise(
    "0.1",
    "Share of the numbers that is quantum",
    difficulty=1,
    minutes=4,
    kind="N",
    answer="quantum_share",
    hints=(
        "Which preset of the bar shows a large model?",
        "Read the angles of the circuits, and divide by all that QTHA trains.",
        "80 angles for each block, of 26,880 numbers.",
    ),
    solution="quantum_share = 80 / 26_880",
    mistakes=(
        ("quantum_share = 0.76", "that is the saving against LoRA, which the networks make"),
        ("quantum_share = 480 / 26_880", "the r × r matrices beside the circuit are classical"),
        ("quantum_share = 0.6", "those are the tensor networks, which are classical"),
        ("quantum_share = 80", "that is a number of angles; a share divides by all"),
        ("quantum_share = 1 - 80 / 26_880", "that is the share that is not quantum"),
    ),
    grader=grading.Number(80 / 26_880, rtol=0.1),
    remark="Nearly all parameters of QTHA are classical. The circuit holds a few per thousand.",
)

BAR = {
    "state": "the bar is expected, or its state",
    "setting": "the toy, r = 4, bond 3, 4 circuit layers and LoRA r = 2 are asked for",
    "large": "QTHA trains more than LoRA r = 2 with this waist: the same name is not the same size",
    "small": "a larger waist of the slider still fits",
}
SETTING = {"model": "tiny", "r": 4, "bond_dim": 3, "n_layers": 4, "lora_r": 2}


def _is_state(state) -> bool:
    return isinstance(state, dict) and {"waist", *SETTING} <= set(state)


def _fits(state, waist: int) -> bool:
    from qtha_lab.analysis.parameter_budget import lora_budget, qtha_budget

    options = {name: state[name] for name in ("r", "bond_dim", "n_layers")}
    qtha = qtha_budget(state["model"], waist=waist, **options)
    return qtha.total <= lora_budget(state["model"], state["lora_r"]).total


def _no_larger(state) -> bool:
    from qtha_lab.adapters.qtha_config import GRID

    larger = [waist for waist in GRID["waist"] if waist > state["waist"]]
    return not larger or not _fits(state, larger[0])


def _bar(**changes: object) -> str:
    return f"same_size = {SETTING | {'waist': 16} | changes!r}"


exercise(
    "0.2",
    "A waist of equal size",
    difficulty=1,
    minutes=4,
    kind="X",
    answer="same_size",
    hints=(
        "Set r, bond, circuit layers and LoRA's r first. Then move the waist.",
        "The table below the controls has both totals.",
        "It is well below the published waist of 256.",
    ),
    solution="same_size = BudgetBar(waist=16, bond_dim=3, r=4, n_layers=4, lora_r=2)",
    mistakes=(
        ("same_size = 16", BAR["state"]),
        (_bar(r=2), BAR["setting"]),
        (_bar(waist=256), BAR["large"]),
        (_bar(waist=12), BAR["small"]),
    ),
    setup="from qtha_lab.widgets import BudgetBar",
    grader=Construction(
        (
            (_is_state, BAR["state"]),
            (lambda state: {name: state[name] for name in SETTING} == SETTING, BAR["setting"]),
            (lambda state: _fits(state, state["waist"]), BAR["large"]),
            (_no_larger, BAR["small"]),
        )
    ),
    remark="The same r is not the same size. Compare at equal numbers of parameters.",
)

RUNS = {
    "a": "without a LoRA of equal size a difference may be one of size",
    "b": "without QTHA's own control the circuit is not what was tested",
    "c": "one seed does not show how far runs of the same method lie apart",
    "d": "a larger QTHA answers another question: what size does",
    "e": "full fine-tuning is a ceiling and no control",
    "f": "more steps of one seed say nothing about other seeds",
    "g": "the best of ten rates for one method alone favours this method",
}

exercise(
    "0.3",
    "Three runs before a claim",
    difficulty=1,
    minutes=5,
    kind="E",
    answer="needed_runs",
    hints=(
        "What could explain a lower loss of QTHA other than being better?",
        "Size, the rest of QTHA, and chance.",
        "One run against each of the three.",
    ),
    solution='needed_runs = "abc"',
    mistakes=(
        ('needed_runs = "bc"', RUNS["a"]),
        ('needed_runs = "ac"', RUNS["b"]),
        ('needed_runs = "ab"', RUNS["c"]),
        ('needed_runs = "abcd"', RUNS["d"]),
        ('needed_runs = "abce"', RUNS["e"]),
        ('needed_runs = "abcf"', RUNS["f"]),
        ('needed_runs = "abcg"', RUNS["g"]),
    ),
    grader=Selection("abc", RUNS),
    remark="Lesson 9 makes a list of such controls, one for each cause.",
)
