"""Exercises of lesson 1: what rank an update can have, and four ways to count it."""

from qtha_lab.exercises import judge
from qtha_lab.exercises.registry import exercise


@exercise(
    "1.1",
    "Count LoRA's parameters",
    difficulty=1,
    minutes=3,
    answer="n_parameters",
    hints=(
        "A has r rows of in_features entries, B has out_features rows of r entries.",
        "For one layer: r × (in_features + out_features).",
    ),
    solution="n_parameters = 8 * (576 + 192)",
    wrong=("n_parameters = 576 * 192", "n_parameters = 8 * 576 * 192", "n_parameters = 8 * 576"),
)
def _(answer):
    traps = {
        576 * 192: "that is the whole weight, which stays frozen",
        8 * 576 * 192: "A and B are two thin matrices: their sizes add",
        8 * 576: "that is A alone",
        8 * 192: "that is B alone",
    }
    judge.number(answer, 8 * (576 + 192), traps=traps)
    return "1/18 of the 110,592 entries of the weight that they change."
