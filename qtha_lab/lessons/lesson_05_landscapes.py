"""Exercise of lesson 5: one circuit with two read-outs, one of them flat."""

from collections.abc import Mapping
from typing import Any

from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import exercise

FEW, MANY, SAMPLES = 2, 8, 300
SLACK = 1.5  # of the law, for the error of the variances
NAMES = ("ansatz", "n_qubits", "n_layers", "read_out")
FAULTS = {
    "states": "a tuple of two states of Landscape is expected, such as (land.state, land.state)",
    "depth": "the two circuits differ: only the read-out may change, not family, layers or qubits",
    "same": "the read-out is the same in both, so they are one landscape",
    "falls": "the variance of the first falls more slowly than 2⁻ⁿ",
    "stays": "the variance of the second falls as fast as 2⁻ⁿ too",
}


def _are_states(pair: Any) -> bool:
    return len(pair) == 2 and all(isinstance(s, Mapping) and set(NAMES) <= set(s) for s in pair)


def _is_one_circuit(pair: Any) -> bool:
    return all(pair[0][name] == pair[1][name] for name in NAMES[:3])


def _left(state: Mapping[str, Any]) -> float:
    """Return the share of the gradient's variance that is left from few to many qubits."""
    from qtha_lab.analysis import gradient_variance_of
    from qtha_lab.analysis.circuits.landscape import observable_of
    from qtha_lab.circuits import ansatze

    few, many = (
        gradient_variance_of(
            ansatze.build(state["ansatz"], n, state["n_layers"]),
            observable_of(state["read_out"], n),
            SAMPLES,
        ).mean
        for n in (FEW, MANY)
    )
    return many / few


LAW = 2.0 ** (FEW - MANY)
START = {"ansatz": "product", "n_qubits": 8, "n_layers": 1}
ALL, ONE = START | {"read_out": "all wires"}, START | {"read_out": "one wire"}

exercise(
    "5.5",
    "One circuit, two read-outs",
    difficulty=2,
    minutes=8,
    kind="X",
    answer="two_landscapes",
    hints=(
        "Begin with one layer of the family without entanglement.",
        "Change the read-out alone, and compare *left* with *2⁻ⁿ law* at eight qubits.",
        "All wires first, one wire second, nothing else changed.",
    ),
    solution=f"two_landscapes = ({ALL!r}, {ONE!r})",
    mistakes=(
        (f"two_landscapes = {ALL!r}", FAULTS["states"]),
        (f"two_landscapes = ({ALL!r}, {ONE | {'n_layers': 4}!r})", FAULTS["depth"]),
        (f"two_landscapes = ({ALL!r}, {ALL!r})", FAULTS["same"]),
        (f"two_landscapes = ({ONE!r}, {ALL!r})", FAULTS["falls"]),
    ),
    grader=Construction(
        (
            (_are_states, FAULTS["states"]),
            (_is_one_circuit, FAULTS["depth"]),
            (lambda pair: pair[0]["read_out"] != pair[1]["read_out"], FAULTS["same"]),
            (lambda pair: _left(pair[0]) <= SLACK * LAW, FAULTS["falls"]),
            (lambda pair: _left(pair[1]) > SLACK * LAW, FAULTS["stays"]),
        )
    ),
    remark="Depth did not change. A plateau is a property of circuit and read-out together.",
)
