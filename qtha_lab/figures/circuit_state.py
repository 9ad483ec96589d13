"""Plot of a final state: probabilities, phases, ⟨Z⟩, entanglement and gradients.

Takes the numbers of one sample at given angles, as in `qtha_lab.analysis.circuits.circuit_trace`.
Runs no circuit.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from plotly.colors import get_colorscale, unlabel_rgb

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import striped
from qtha_lab.figures.machinery.parts import PlainFigure
from qtha_lab.figures.machinery.table import Table

NAMED_STATES = 16  # most states with a label and a phase arrow
NAMED_ANGLES = 12
SCALES = (
    0.1,
    0.3,
    1.0,
    3.0,
    10.0,
    30.0,
)  # axis limits of gradients, in steps so that the axis seldom changes
PHASES = {"tickvals": [-math.pi, 0, math.pi], "ticktext": ["−π", "0", "π"]}
PHASE_COLORS = get_colorscale("phase")  # cyclic: both ends have the same colour
PHASE_PLACES = np.array([place for place, _ in PHASE_COLORS])
PHASE_CHANNELS = np.array([unlabel_rgb(color) for _, color in PHASE_COLORS], dtype=float).T


def _example() -> dict:
    index = np.arange(8)
    amplitudes = np.exp(0.9j * index) * (1 + np.cos(index))
    probs = np.abs(amplitudes) ** 2
    return {
        "probs": probs / probs.sum(),
        "phases": np.angle(amplitudes),
        "z": [0.62, -0.1, -0.55],
        "cut_entropy_bits": [0.4, 0.7],
        "gradients": {"x0": -0.31, "x1": 0.02, "p0": 0.2, "p1": 0.0, "p2": -0.05},
    }


@figure_function(example=_example)
def circuit_state(
    probs: Sequence[float],
    phases: Sequence[float],
    z: Sequence[float],
    cut_entropy_bits: Sequence[float],
    gradients: Mapping[str, float],
    observable: str = "Z0",
    theme: str = "light",
) -> Figure:
    """Plot the final state of a circuit and its gradients, in four panels.

    Args:
        probs: Probability of every basis state; wire 0 is the most significant bit.
        phases: Phase of every amplitude in radians, up to a global phase.
        z: Expectation ⟨Z⟩ of every wire.
        cut_entropy_bits: Entanglement entropy between wires k and k + 1.
        gradients: Gradient by angle: "x0" is an input, "p0" a trained angle.
        observable: Pauli string whose gradients are given.
        theme: "light", "dark" or "page".

    Example:
        >>> bell = circuit_state([0.5, 0, 0, 0.5], [0, 0, 0, 0], [0, 0], [1.0], {})
        >>> bell.alt
        '2 qubits: |00⟩ is likeliest (0.5); ⟨Z⟩ from 0 to 0; 1 bit of
        entanglement at most over a cut; no angle.'
    """
    chances, rotations, means, bits = (
        np.asarray(v, dtype=float) for v in (probs, phases, z, cut_entropy_bits)
    )
    caption = (
        "Top: the chance of every basis state at the end; colour and arrow are the phase of its"
        " amplitude. Below: ⟨Z⟩ of each wire, entanglement across each cut (lines: the most that"
        f" is possible), and the gradient of ⟨{observable}⟩ by each angle (hatched: data, plain:"
        " trained). The figure shows one setting of the angles only."
    )
    draw = functools.partial(_draw, chances, rotations, means, bits, dict(gradients), observable)
    alt = _alt(chances, means, bits, gradients, observable)
    table = _table(chances, rotations, means, bits, gradients, observable)
    return Figure("circuit_state", draw, caption, alt, table, theme)


def state_names(n_qubits: int) -> list[str]:
    """Return the names |00⟩, |01⟩, … of the basis states.

    Example:
        >>> state_names(1)
        ['|0⟩', '|1⟩']
    """
    return [f"|{index:0{n_qubits}b}⟩" for index in range(2**n_qubits)]


def _alt(probs, z, bits, gradients: Mapping[str, float], observable: str) -> str:
    most = int(probs.argmax())
    entropy = bits.max(initial=0)
    text = f"{len(z)} qubits: {state_names(len(z))[most]} is likeliest ({probs[most]:.2g}); "
    low, high = (round(float(edge), 3) + 0.0 for edge in (z.min(), z.max()))
    text += f"⟨Z⟩ from {low:g} to {high:g}; "
    text += f"{entropy:.2g} bit{'' if entropy == 1 else 's'} of entanglement at most over a cut; "
    if not gradients:
        return text + "no angle."
    steepest = max(gradients, key=lambda name: abs(gradients[name]))
    return text + f"⟨{observable}⟩ is steepest in {steepest} ({gradients[steepest]:.2g} per rad)."


def _table(probs, phases, z, bits, gradients, observable: str) -> Table:
    names = state_names(len(z))
    rows = [("probability", name, p) for name, p in zip(names, probs, strict=True)]
    rows += [("phase (rad)", name, p) for name, p in zip(names, phases, strict=True)]
    rows += [("⟨Z⟩", f"wire {k}", v) for k, v in enumerate(z)]
    rows += [("entropy (bits)", f"cut {k}|{k + 1}", v) for k, v in enumerate(bits)]
    rows += [(f"gradient of {observable} (1/rad)", name, v) for name, v in gradients.items()]
    return Table(("quantity", "at", "value"), rows)


def _draw(
    probs, phases, z, bits, gradients: dict, observable: str, page_style: PageStyle
) -> PlainFigure:
    traces = [
        _states(probs, phases, len(z)),
        _arrows(probs, phases, page_style),
        _scale(page_style),
    ]
    wires, cuts = ([str(k) for k in range(len(of))] for of in (z, bits))
    blue = {"color": theme.BLUE}
    grey = striped(theme.GREY, "/", page_style)
    hover = "wire %{x}: %{y:.4f}<extra></extra>"
    traces.append(_bars(wires, z, 2, blue, hover))
    hover = "cut after wire %{x}: %{y:.4f} bits<extra></extra>"
    traces += [_bars(cuts, bits, 3, blue, hover), _limits(cuts, len(z), page_style)]
    for kind, marker in (("x", grey), ("p", blue)):
        of_kind = {name: value for name, value in gradients.items() if name.startswith(kind)}
        hover = "%{x}: %{y:.4g} per rad<extra></extra>"
        traces.append(_bars(list(of_kind), list(of_kind.values()), 4, marker, hover))
    layout = _panels(page_style)
    for name, axis in _axes(probs, z, bits, gradients, observable, page_style).items():
        layout[name] |= axis
    return PlainFigure(traces, layout)


def _bars(x: list[str], y: Any, panel: int, marker: dict, hover: str) -> dict:
    place = {"xaxis": f"x{panel}", "yaxis": f"y{panel}"}
    return {"type": "bar", "x": x, "y": y, **place, "marker": marker, "hovertemplate": hover}


def _panels(page_style: PageStyle) -> dict:
    """Return the layout of the four plots: the state above, the others below."""
    places = [(0, 0.9, 0.58, 1), (0, 0.23, 0, 0.36), (0.33, 0.56, 0, 0.36), (0.68, 1, 0, 0.36)]
    if page_style.narrow:
        places = [(0, 0.82, 0.72, 1), (0, 0.38, 0.37, 0.57), (0.62, 1, 0.37, 0.57), (0, 1, 0, 0.2)]
    layout = {"showlegend": False, "barmode": "overlay", "bargap": 0.15}
    layout["height"] = (1.35 if page_style.narrow else 0.62) * page_style.width
    for number, (left, right, low, high) in enumerate(places, start=1):
        key = "" if number == 1 else str(number)
        layout[f"xaxis{key}"] = {"domain": [left, right], "anchor": f"y{key}", "showgrid": False}
        layout[f"yaxis{key}"] = {"domain": [low, high], "anchor": f"x{key}"}
    return layout


def _states(probs: np.ndarray, phases: np.ndarray, n_qubits: int) -> dict:
    hover = "%{customdata[0]}: %{y:.4f}, phase %{customdata[1]:.3f} rad<extra></extra>"
    names = state_names(n_qubits)
    labelled = [[name, phase] for name, phase in zip(names, phases.tolist(), strict=True)]
    return {
        "type": "bar",
        "x": np.arange(len(probs)),
        "y": probs,
        "marker": {"color": phase_colors(phases), "line": {"width": 0}},
        "customdata": labelled,
        "hovertemplate": hover,
    }


def phase_colors(phases: np.ndarray) -> list[str]:
    """Return the colour of each phase, in radians from −π to π.

    The colours are computed here. plotly.js also takes numbers, but parses each as a colour first
    and logs a warning, which takes half of the time of drawing 256 bars.

    Example:
        >>> phase_colors(np.array([-np.pi, np.pi]))  # the same, as the angle is
        ['rgb(167, 119, 12)', 'rgb(167, 119, 12)']
    """
    places = (np.asarray(phases) + math.pi) / (2 * math.pi)
    channels = [np.interp(places, PHASE_PLACES, channel) for channel in PHASE_CHANNELS]
    return [f"rgb({r:.0f}, {g:.0f}, {b:.0f})" for r, g, b in zip(*channels, strict=True)]


def _scale(page_style: PageStyle) -> dict:
    """Return an invisible trace that carries the colour scale of the phases."""
    bar = page_style.colorbar("phase", PHASES)
    bar |= {"len": 0.34 if page_style.narrow else 0.48, "y": 1.02, "yanchor": "top"}
    bar |= {"x": 0.84 if page_style.narrow else 0.92, "xanchor": "left"}
    marker = {"color": [0.0], "colorscale": PHASE_COLORS, "cmin": -math.pi, "cmax": math.pi}
    marker |= {"showscale": True, "colorbar": bar, "size": 1, "opacity": 0}
    return {
        "type": "scatter",
        "x": [0],
        "y": [0],
        "mode": "markers",
        "marker": marker,
        "hoverinfo": "skip",
    }


def _arrows(probs: np.ndarray, phases: np.ndarray, page_style: PageStyle) -> dict:
    """Return arrows over the likeliest states: phase 0 points right, π/2 up."""
    likely = np.sort(np.argsort(-probs, kind="stable")[:NAMED_STATES])
    likely = likely[probs[likely] > 0.02 * probs.max()]
    angle = 90 - np.degrees(phases[likely])
    size = (1.6 if len(probs) <= NAMED_STATES else 1.1) * page_style.marker
    marker = {"symbol": "arrow", "angle": angle, "size": size, "color": page_style.inks.text}
    y = probs[likely] + 0.09 * probs.max()
    return {
        "type": "scatter",
        "x": likely,
        "y": y,
        "mode": "markers",
        "marker": marker,
        "hoverinfo": "skip",
    }


def _limits(cuts: list[str], n_qubits: int, page_style: PageStyle) -> dict:
    most = [min(k, n_qubits - k) for k in range(1, n_qubits)]
    line = {"color": page_style.inks.text, "width": page_style.line}
    space = (0.38 if page_style.narrow else 0.23) * 0.85 * page_style.width / max(1, len(cuts))
    marker = {"symbol": "line-ew", "size": 0.45 * space, "line": line}
    place = {"xaxis": "x3", "yaxis": "y3", "hoverinfo": "skip"}
    return {"type": "scatter", "x": cuts, "y": most, "mode": "markers", "marker": marker, **place}


def _axes(probs, z, bits, gradients, observable: str, page_style: PageStyle) -> dict[str, dict]:
    few = len(probs) <= NAMED_STATES
    ticks = {"tickvals": list(range(len(probs))), "ticktext": state_names(len(z))} if few else {}
    if few and page_style.narrow and len(probs) > 8:
        ticks["tickangle"] = -90
    steepest = max(map(abs, gradients.values()), default=0.0)
    scale = next((size for size in SCALES if steepest <= size), steepest)
    angle = {
        "categoryarray": list(gradients),
        "categoryorder": "array",
        "nticks": NAMED_ANGLES // 2,
    }
    return {
        "xaxis": {"title": {"text": "basis state"}, "range": [-0.6, len(probs) - 0.4], **ticks},
        "yaxis": {
            "title": {"text": "probability"},
            "range": [0, 1.2 * (probs.max(initial=0) or 1)],
        },
        "xaxis2": {"title": {"text": "wire"}, "type": "category"},
        "yaxis2": {"title": {"text": "⟨Z⟩"}, "range": [-1.05, 1.05]},
        "xaxis3": {"title": {"text": "cut after wire"}, "type": "category", "tickangle": 0},
        "yaxis3": {"title": {"text": "entropy (bits)"}, "range": [0, 1.1 * max(1, len(z) // 2)]},
        "xaxis4": {"title": {"text": "angle"}, "type": "category", "tickangle": 0, **angle},
        "yaxis4": {
            "title": {"text": f"gradient of ⟨{observable}⟩ (1/rad)"},
            "range": [-1.05 * scale, 1.05 * scale],
        },
    }
