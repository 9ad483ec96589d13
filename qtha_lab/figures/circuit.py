"""A circuit as a diagram: wires, boxes with the source of every angle, values and gradients on hover.

Takes rows of plain gates (`gate_rows` of `qtha_lab.circuits` makes them); runs nothing.
"""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import plotly.graph_objects as go

from qtha_lab.figures import theme as themes
from qtha_lab.figures.canvas import Canvas
from qtha_lab.figures.figure import Figure
from qtha_lab.figures.look import Look
from qtha_lab.figures.registry import figure_function
from qtha_lab.figures.table import Table

SHORT = {"Hadamard": "H", "PauliX": "X", "PauliY": "Y", "PauliZ": "Z", "PhaseShift": "Rϕ"}
CONTROLLED = {
    "CNOT": "X",
    "CZ": "Z",
    "CRX": "RX",
    "CRY": "RY",
    "CRZ": "RZ",
    "ControlledPhaseShift": "Rϕ",
}


class AngleRow(TypedDict):
    """An angle: where it comes from, such as `x0`, `p3`, `π/2`; in radians, where known."""

    source: str
    value: NotRequired[float | None]
    gradient: NotRequired[float | None]


class GateRow(TypedDict):
    """A gate: its PennyLane name, its wires (controls first), its angles."""

    name: str
    wires: Sequence[int]
    angles: NotRequired[Sequence[AngleRow]]


def _example() -> dict:
    gates: list[GateRow] = []
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
    """The circuit from left to right, continued below where the page is too narrow.

    Args:
        n_qubits: Wires, 0 on top.
        gates: In the order of time.
        max_rows: Most continuations to draw; the gates left out are counted.

    Example:
        >>> circuit_diagram(2, [{"name": "RY", "wires": [0]}, {"name": "CNOT", "wires": [0, 1]}]).alt
        'Circuit of 2 qubits with 2 gates (1 RY, 1 CNOT), depth 2.'
    """
    columns = _columns(n_qubits, gates)
    counts = collections.Counter(gate["name"] for gate in gates)
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    of = f" ({said})" if said else ""
    alt = (
        f"Circuit of {n_qubits} qubits with {len(gates)} gates{of}, depth {depth(n_qubits, gates)}."
    )
    caption = (
        "Time runs to the right; wire 0 is the most significant bit. x: the angle is a datum; p: it is "
        "trained (shaded); the rest are constants. A dot is a control."
    )
    draw = functools.partial(_draw, n_qubits, columns, max_rows)
    return Figure("circuit", draw, caption, alt, _table(gates), theme)


def depth(n_qubits: int, gates: Sequence[GateRow]) -> int:
    """Steps when gates on different wires run at once."""
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


def _columns(n_qubits: int, gates: Sequence[GateRow]) -> list[list[GateRow]]:
    """Gates that can stand one above the other, each as far left as it goes."""
    free_from = [0] * n_qubits
    columns: list[list[GateRow]] = []
    for gate in gates:
        covered = range(min(gate["wires"]), max(gate["wires"]) + 1)
        at = max(free_from[wire] for wire in covered)
        columns.extend([] for _ in range(at + 1 - len(columns)))
        columns[at].append(gate)
        for wire in covered:
            free_from[wire] = at + 1
    return columns


def _labels(gate: GateRow) -> list[str]:
    """What stands on each wire; an empty text is a control."""
    name = gate["name"]
    if name in CONTROLLED:
        return ["", CONTROLLED[name]]
    return [SHORT.get(name, name.removeprefix("Ising"))] * len(gate["wires"])


def _sources(gate: GateRow) -> str:
    return "<br>".join(angle["source"] for angle in gate.get("angles") or [])


def _draw(n_qubits: int, columns: list[list[GateRow]], max_rows: int, look: Look) -> go.Figure:
    canvas = Canvas(look)
    lines = max((len(g.get("angles") or []) for column in columns for g in column), default=1)
    tall = 1.5 * look.font + 1.15 * look.small * lines
    step = tall + 0.5 * look.font
    left = 1.2 * look.font + look.text_width(str(n_qubits - 1))
    rows = _rows([_width(column, look) for column in columns], look.width - left - look.font, look)
    y = 0.75 * look.font
    for row in rows[:max_rows]:
        _draw_row(canvas, n_qubits, [columns[i] for i in row], left, y, tall, step)
        y += n_qubits * step + 0.8 * look.font
    if left_out := sum(len(columns[i]) for row in rows[max_rows:] for i in row):
        canvas.text((left, y), f"… {left_out} more gates", side="middle right")
        y += 1.2 * look.font
    return canvas.figure(y)


def _width(column: list[GateRow], look: Look) -> float:
    texts = [look.text_width(label) for gate in column for label in _labels(gate)]
    texts += [look.text_width(_sources(gate), look.small) for gate in column]
    return max(texts) + 0.8 * look.font


def _rows(widths: list[float], room: float, look: Look) -> list[list[int]]:
    """Column numbers, cut into rows that fit the page."""
    rows: list[list[int]] = [[]]
    used = 0.0
    for number, width in enumerate(widths):
        needed = width + 0.5 * look.font
        if rows[-1] and used + needed > room:
            rows.append([])
            used = 0.0
        rows[-1].append(number)
        used += needed
    return rows


def _draw_row(
    canvas: Canvas,
    n_qubits: int,
    columns: list[list[GateRow]],
    left: float,
    top: float,
    tall: float,
    step: float,
) -> None:
    look = canvas.look
    gap = 0.5 * look.font
    ys = [top + (wire + 0.5) * step for wire in range(n_qubits)]
    x = left + gap
    for column in columns:
        width = _width(column, look)
        for gate in column:
            _draw_gate(canvas, gate, x + width / 2, ys, (width, tall))
        x += width + gap
    for wire, y in enumerate(ys):
        canvas.text((left - 0.3 * look.font, y), str(wire), side="middle left")
        canvas.stroke((left, y), (x, y), 0.6)


def _draw_gate(
    canvas: Canvas, gate: GateRow, x: float, ys: list[float], size: tuple[float, float]
) -> None:
    look, wires = canvas.look, gate["wires"]
    if len(wires) > 1:
        canvas.stroke((x, ys[min(wires)]), (x, ys[max(wires)]), 1.0)
    for wire, label in zip(wires, _labels(gate), strict=True):
        at = (x, ys[wire])
        canvas.spot(at, hover(gate))
        if not label:
            canvas.dot(at)
            continue
        sources = _sources(gate)
        canvas.box(at, size, _fill(gate, look))
        n_lines = sources.count("<br>") + 1 if sources else 0
        canvas.text((x, at[1] - 0.57 * look.small * n_lines), label)
        if sources:
            canvas.text((x, at[1] + 0.6 * look.font), sources, look.small)


def _fill(gate: GateRow, look: Look) -> str:
    """Paper, or a shade of it where an angle is trained; opaque, since a wire runs behind."""
    trained = any(
        a["source"].lstrip("-0123456789./π·").startswith("p") for a in gate.get("angles") or []
    )
    solid = look.inks.paper if look.theme != "page" else "#ffffff"
    return themes.mix(themes.SKY, solid, 0.3) if trained else solid


def hover(gate: GateRow) -> str:
    """What a gate says under the mouse.

    Example:
        >>> hover({"name": "RY", "wires": [1], "angles": [{"source": "p0", "value": 0.5, "gradient": -0.1}]})
        'RY on wire 1<br>angle p0 = 0.5 rad, gradient -0.1'
    """
    wires: Sequence[int] = gate["wires"]
    on = f"wire{'s' if len(wires) > 1 else ''} {', '.join(map(str, wires))}"
    return "<br>".join([f"{gate['name']} on {on}", *map(_angle, gate.get("angles") or [])])


def _angle(angle: Mapping) -> str:
    said = f"angle {angle['source']}"
    if angle.get("value") is not None:
        said += f" = {angle['value']:.4g} rad"
    if angle.get("gradient") is not None:
        said += f", gradient {angle['gradient']:.3g}"
    return said
