"""Layout of a circuit diagram: strokes, boxes and texts on a page.

Draws the plain gate rows of `qtha_lab.figures.circuit`, without title or caption.
"""

from collections.abc import Mapping, Sequence

from qtha_lab.circuits.gate_kinds import CONTROL, GATES
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.canvas import Canvas
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import Unchecked

Gate = Mapping  # a GateRow of `circuit`


def columns_of(n_qubits: int, gates: Sequence[Gate]) -> list[list[Gate]]:
    """Arrange gates in columns, each gate as far left as its wires are free."""
    free_from = [0] * n_qubits
    columns: list[list[Gate]] = []
    for gate in gates:
        covered = range(min(gate["wires"]), max(gate["wires"]) + 1)
        at = max(free_from[wire] for wire in covered)
        columns.extend([] for _ in range(at + 1 - len(columns)))
        columns[at].append(gate)
        for wire in covered:
            free_from[wire] = at + 1
    return columns


def _labels(gate: Gate) -> list[str]:
    """Return the label on each wire; an empty text is a control."""
    name: str = gate["name"]
    if name in GATES:
        return ["" if label == CONTROL else label for label in GATES[name].labels]
    return [name] * len(gate["wires"])


def _sources(gate: Gate) -> str:
    return "<br>".join(angle["source"] for angle in gate.get("angles") or [])


def draw_page(
    n_qubits: int, columns: list[list[Gate]], max_rows: int, page_style: PageStyle
) -> Unchecked:
    """Draw the page of a circuit.

    Args:
        n_qubits: Number of wires; wire 0 is at the top.
        columns: Columns of gates, from `columns_of`.
        max_rows: Maximum number of rows; further gates are counted, not drawn.
        page_style: The theme and the size of the page.
    """
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


def _width(column: list[Gate], page_style: PageStyle) -> float:
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
    columns: list[list[Gate]],
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
    canvas: Canvas, gate: Gate, x: float, ys: list[float], size: tuple[float, float]
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


def _fill(gate: Gate, page_style: PageStyle) -> str:
    """Return the fill colour: tinted for a gate with a trained angle, else the background.

    The fill is opaque, since a wire runs behind the box.
    """
    trained = any(
        a["source"].lstrip("-0123456789./π·").startswith("p") for a in gate.get("angles") or []
    )
    solid = page_style.inks.paper if page_style.theme != "page" else "#ffffff"
    return themes.mix(themes.SKY, solid, 0.3) if trained else solid


def hover(gate: Gate) -> str:
    """Return the hover text of a gate.

    Example:
        >>> angle = {"source": "p0", "value": 0.5, "gradient": -0.1}
        >>> hover({"name": "RY", "wires": [1], "angles": [angle]})
        'RY on wire 1<br>angle p0 = 0.5 rad, gradient -0.1'
    """
    wires: Sequence[int] = gate["wires"]
    on = f"wire{'s' if len(wires) > 1 else ''} {', '.join(map(str, wires))}"
    return "<br>".join([f"{gate['name']} on {on}", *map(_angle, gate.get("angles") or [])])


def _angle(angle: Gate) -> str:
    text = f"angle {angle['source']}"
    if angle.get("value") is not None:
        text += f" = {angle['value']:.4g} rad"
    if angle.get("gradient") is not None:
        text += f", gradient {angle['gradient']:.3g}"
    return text
