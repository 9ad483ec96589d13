"""Circuit diagram with angle sources, and with values and gradients on hover.

Takes plain gate rows, as `qtha_lab.circuits.gate_table.gate_rows` makes them. Runs no circuit.
"""

import collections
import functools
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from qtha_lab.figures import circuit_page
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table


class AngleRow(TypedDict):
    """Angle in radians with its source, such as `x0`, `p3` or `π/2`."""

    source: str
    value: NotRequired[float | None]
    gradient: NotRequired[float | None]


class GateRow(TypedDict):
    """Gate: PennyLane name, wires (controls first) and angles."""

    name: str
    wires: Sequence[int]
    angles: NotRequired[Sequence[AngleRow]]


def _example() -> dict:
    gates: list[Any] = []
    for layer in range(2):
        first = 8 * layer
        gates += [
            {"name": "RY", "wires": [w], "angles": [{"source": f"x{w}", "value": 0.4 * w}]}
            for w in range(4)
        ]
        for w in range(4):
            angle = {"source": f"p{first + w}", "value": 0.1 * w, "gradient": 0.02 - 0.01 * w}
            gates.append({"name": "CRZ", "wires": [w, (w + 1) % 4], "angles": [angle]})
        gates += [
            {"name": "RY", "wires": [w], "angles": [{"source": f"p{first + 4 + w}"}]}
            for w in range(4)
        ]
    gates += [{"name": "CNOT", "wires": [0, 1]}, {"name": "Hadamard", "wires": [3]}]
    return {"n_qubits": 4, "gates": gates}


@figure_function(example=_example)
def circuit_diagram(
    n_qubits: int, gates: Sequence[GateRow], max_rows: int = 4, theme: str = "light"
) -> Figure:
    """Draw the circuit from left to right, continued below where the page is too narrow.

    Args:
        n_qubits: Number of wires; wire 0 is at the top.
        gates: Gates in the order of application.
        max_rows: Maximum number of rows; further gates are counted, not drawn.
        theme: "light", "dark" or "page".

    Example:
        >>> gates = [{"name": "RY", "wires": [0]}, {"name": "CNOT", "wires": [0, 1]}]
        >>> circuit_diagram(2, gates).alt
        'Circuit of 2 qubits with 2 gates (1 RY, 1 CNOT), depth 2.'
    """
    columns = circuit_page.columns_of(n_qubits, gates)
    counts = collections.Counter(gate["name"] for gate in gates)
    kinds = ", ".join(f"{count} {name}" for name, count in counts.items())
    of = f" ({kinds})" if kinds else ""
    alt = (
        f"Circuit of {n_qubits} qubits with {len(gates)} gates{of}, depth {depth(n_qubits, gates)}."
    )
    caption = (
        "Time runs to the right; wire 0 is the most significant bit. x: the angle is a datum; p: it"
        " is trained (shaded); the rest are constants. A dot is a control."
    )
    draw = functools.partial(circuit_page.draw_page, n_qubits, columns, max_rows)
    return Figure("circuit", draw, caption, alt, _table(gates), theme)


def depth(n_qubits: int, gates: Sequence[GateRow]) -> int:
    """Count the time steps when gates on different wires run in parallel.

    Example:
        >>> depth(2, [{"name": "RY", "wires": wires} for wires in ([0], [1], [0])])
        2
    """
    level = [0] * n_qubits
    for gate in gates:
        step = 1 + max(level[wire] for wire in gate["wires"])
        for wire in gate["wires"]:
            level[wire] = step
    return max(level, default=0)


def _table(gates: Sequence[GateRow]) -> Table:
    rows = []
    for number, gate in enumerate(gates):
        wires = " ".join(map(str, gate["wires"]))
        for angle in gate.get("angles") or [{}]:
            rows.append(
                (number, gate["name"], wires, *map(angle.get, ("source", "value", "gradient")))
            )
    return Table(("gate", "name", "wires", "source", "value", "gradient"), rows)
