"""Circuit diagram with angle sources, and with values and gradients on hover.

Takes plain gate rows of `qtha_lab.analysis.circuits.circuit_trace.gate_rows`. Runs no circuit.
"""

import collections
import functools
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from qtha_lab.circuits.gate_kinds import CONTROL, GATES
from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.canvas import Canvas
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import PlainFigure
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
    columns = columns_of(n_qubits, gates)
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
    draw = functools.partial(draw_page, n_qubits, columns, max_rows)
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


def columns_of(n_qubits: int, gates: Sequence[GateRow]) -> list[list[GateRow]]:
    """Arrange gates in columns, each gate as far left as its wires are free."""
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
    """Return the label on each wire; an empty text is a control."""
    name: str = gate["name"]
    if name in GATES:
        return ["" if label == CONTROL else label for label in GATES[name].labels]
    return [name] * len(gate["wires"])


def _sources(gate: GateRow) -> str:
    return "<br>".join(angle["source"] for angle in gate.get("angles") or [])


def draw_page(
    n_qubits: int, columns: list[list[GateRow]], max_rows: int, page_style: PageStyle
) -> PlainFigure:
    """Draw the page of a circuit."""
    canvas = Canvas(page_style)
    lines = max((len(g.get("angles") or []) for column in columns for g in column), default=1)
    tall = 1.5 * page_style.font + 1.15 * page_style.small * lines
    step = tall + 0.5 * page_style.font
    left = 1.2 * page_style.font + page_style.text_width(str(n_qubits - 1))
    rows = _rows(
        [_width(column, page_style) for column in columns],
        page_style.width - left - page_style.font,
        page_style,
    )
    y = 0.75 * page_style.font
    for row in rows[:max_rows]:
        _draw_row(canvas, n_qubits, [columns[i] for i in row], left, y, tall, step)
        y += n_qubits * step + 0.8 * page_style.font
    if n_more := sum(len(columns[i]) for row in rows[max_rows:] for i in row):
        canvas.text((left, y), f"… {n_more} more gates", side="middle right")
        y += 1.2 * page_style.font
    return canvas.figure(y)


def _width(column: list[GateRow], page_style: PageStyle) -> float:
    texts = [page_style.text_width(label) for gate in column for label in _labels(gate)]
    texts += [page_style.text_width(_sources(gate), page_style.small) for gate in column]
    return max(texts) + 0.8 * page_style.font


def _rows(widths: list[float], space: float, page_style: PageStyle) -> list[list[int]]:
    """Cut the column numbers into rows that fit the page."""
    rows: list[list[int]] = [[]]
    width_so_far = 0.0
    for number, width in enumerate(widths):
        column_width = width + 0.5 * page_style.font
        if rows[-1] and width_so_far + column_width > space:
            rows.append([])
            width_so_far = 0.0
        rows[-1].append(number)
        width_so_far += column_width
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
    page_style = canvas.page_style
    gap = 0.5 * page_style.font
    ys = [top + (wire + 0.5) * step for wire in range(n_qubits)]
    x = left + gap
    for column in columns:
        width = _width(column, page_style)
        for gate in column:
            _draw_gate(canvas, gate, x + width / 2, ys, (width, tall))
        x += width + gap
    for wire, y in enumerate(ys):
        canvas.text((left - 0.3 * page_style.font, y), str(wire), side="middle left")
        canvas.stroke((left, y), (x, y), 0.6)


def _draw_gate(
    canvas: Canvas, gate: GateRow, x: float, ys: list[float], size: tuple[float, float]
) -> None:
    page_style, wires = canvas.page_style, gate["wires"]
    if len(wires) > 1:
        canvas.stroke((x, ys[min(wires)]), (x, ys[max(wires)]), 1.0)
    for wire, label in zip(wires, _labels(gate), strict=True):
        at = (x, ys[wire])
        canvas.spot(at, hover(gate))
        if not label:
            canvas.dot(at)
            continue
        sources = _sources(gate)
        canvas.box(at, size, _fill(gate, page_style))
        n_lines = sources.count("<br>") + 1 if sources else 0
        canvas.text((x, at[1] - 0.57 * page_style.small * n_lines), label, boxed=True)
        if sources:
            canvas.text((x, at[1] + 0.6 * page_style.font), sources, page_style.small, boxed=True)


def _fill(gate: GateRow, page_style: PageStyle) -> str:
    """Return the fill colour: tinted for a gate with a trained angle, else the background.

    The fill is opaque, since a wire runs behind the box.
    """
    trained = any(
        a["source"].lstrip("-0123456789./π·").startswith("p") for a in gate.get("angles") or []
    )
    solid = page_style.inks.paper if page_style.theme != "page" else "#ffffff"
    return theme.mix(theme.SKY, solid, 0.3) if trained else solid


def hover(gate: GateRow) -> str:
    """Return the hover text of a gate.

    Example:
        >>> angle = {"source": "p0", "value": 0.5, "gradient": -0.1}
        >>> hover({"name": "RY", "wires": [1], "angles": [angle]})
        'RY on wire 1<br>angle p0 = 0.5 rad, gradient -0.1'
    """
    wires: Sequence[int] = gate["wires"]
    on = f"wire{'s' if len(wires) > 1 else ''} {', '.join(map(str, wires))}"
    return "<br>".join([f"{gate['name']} on {on}", *map(_angle, gate.get("angles") or [])])


def _angle(angle: AngleRow) -> str:
    text = f"angle {angle['source']}"
    value, gradient = angle.get("value"), angle.get("gradient")
    if value is not None:
        text += f" = {value:.4g} rad"
    if gradient is not None:
        text += f", gradient {gradient:.3g}"
    return text
