"""Diagram of a matrix product operator: cores in a row, joined by bonds.

The thickness of a bond shows its dimension. Takes sizes; decomposes nothing.
"""

import functools
import math
from collections.abc import Sequence

from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.canvas import Canvas
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import PlainFigure
from qtha_lab.figures.machinery.table import Table


def _example() -> dict:
    return {
        "in_dims": (6, 4, 4, 2),
        "out_dims": (4, 2, 2, 1),
        "bonds": (3, 8, 2),
        "entropies": (0.92, 1.71, 0.33),
    }


@figure_function(example=_example)
def mpo_diagram(
    in_dims: Sequence[int],
    out_dims: Sequence[int],
    bonds: Sequence[int],
    entropies: Sequence[float] | None = None,
    theme: str = "light",
) -> Figure:
    """Draw cores with output legs up, input legs down, and a bond between neighbours.

    Args:
        in_dims: Input factor of each core.
        out_dims: Output factor of each core.
        bonds: Bond dimension between each two neighbours.
        entropies: Entanglement entropy in bits of each bond, where known.
        theme: "light", "dark" or "page".

    Raises:
        ValueError: If the numbers of factors, bonds and entropies do not match.

    Example:
        >>> mpo_diagram((2, 2), (2, 2), (2,)).alt
        'MPO of 2 cores for a 4 × 4 matrix: bonds 2 (largest useful: 4), 16 parameters against
        16 dense.'
    """
    n = len(in_dims)
    if len(out_dims) != n or len(bonds) != n - 1:
        raise Refusal(
            f"{n} in_dims must have {n} out_dims and {n - 1} bonds, got {len(out_dims)} and"
            f" {len(bonds)}."
        )
    if entropies is not None and len(entropies) != len(bonds):
        raise Refusal(f"entropies must be one per bond ({len(bonds)}), got {len(entropies)}.")
    useful = largest_bonds(in_dims, out_dims)
    rows, columns = math.prod(out_dims), math.prod(in_dims)
    alt = (
        f"MPO of {n} cores for a {rows:,} × {columns:,} matrix: bonds {_list(bonds)} "
        f"(largest useful: {_list(useful)}), {n_parameters(in_dims, out_dims, bonds):,} parameters "
        f"against {rows * columns:,} dense."
    )
    below = "; below each, its entanglement entropy in bits" if entropies is not None else ""
    caption = (
        "A circle is a core; the numbers are sizes: legs up carry the output, legs down the input,"
        f" lines between cores the bonds, thicker with the logarithm of their dimension{below}."
        " Sizes give the capacity of an operator, not its use."
    )
    table = Table(
        ("bond", "bond_dim", "max_bond", "entropy_bits"),
        [
            (k + 1, bonds[k], useful[k], entropies[k] if entropies is not None else None)
            for k in range(n - 1)
        ],
    )
    draw = functools.partial(_draw, in_dims, out_dims, bonds, entropies)
    return Figure("mpo", draw, caption, alt, table, theme, "Matrix product operator")


def largest_bonds(in_dims: Sequence[int], out_dims: Sequence[int]) -> list[int]:
    """Return the bond dimensions that suffice for any matrix.

    Each is the smaller side of its cut.

    Example:
        >>> largest_bonds((2, 2, 2), (2, 2, 2))
        [4, 4]
    """
    sizes = [i * o for i, o in zip(in_dims, out_dims, strict=True)]
    cuts = range(1, len(sizes))
    return [min(math.prod(sizes[:k]), math.prod(sizes[k:])) for k in cuts]


def n_parameters(in_dims: Sequence[int], out_dims: Sequence[int], bonds: Sequence[int]) -> int:
    """Count the entries of all cores, Σ_k R_k i_k o_k R_{k+1}.

    Args:
        in_dims: Input factor of each core.
        out_dims: Output factor of each core.
        bonds: Bond dimension between each two neighbours.

    Example:
        >>> n_parameters((2, 2), (2, 2), (3,))  # 1 · 2 · 2 · 3 + 3 · 2 · 2 · 1
        24
    """
    edges = [1, *bonds, 1]
    return sum(
        edges[k] * i * o * edges[k + 1]
        for k, (i, o) in enumerate(zip(in_dims, out_dims, strict=True))
    )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers) or "none"


def _draw(
    in_dims: Sequence[int],
    out_dims: Sequence[int],
    bonds: Sequence[int],
    entropies: Sequence[float] | None,
    page_style: PageStyle,
) -> PlainFigure:
    canvas = Canvas(page_style)
    gap = min(page_style.width / len(in_dims), 12 * page_style.font)
    left = (page_style.width - gap * (len(in_dims) - 1)) / 2
    size, leg = min(2.6 * page_style.font, 0.45 * gap), 2.6 * page_style.font
    middle = leg + 1.8 * page_style.font
    xs = [left + gap * k for k in range(len(in_dims))]
    for k, x in enumerate(xs):
        for sign, dim in ((-1, out_dims[k]), (1, in_dims[k])):
            canvas.stroke((x, middle), (x, middle + sign * leg))
            canvas.text((x, middle + sign * (leg + 0.8 * page_style.font)), str(dim))
        canvas.box((x, middle), (size, size), _fill(page_style), radius=True)
        canvas.text((x, middle), f"{k + 1}", boxed=True)
        canvas.spot((x, middle), f"core {k + 1}<br>in {in_dims[k]}, out {out_dims[k]}")
    for k, bond in enumerate(bonds):
        _draw_bond(
            canvas,
            (xs[k], middle),
            (xs[k + 1], middle),
            bond,
            entropies[k] if entropies is not None else None,
        )
    return canvas.figure(2 * middle)


def _draw_bond(canvas: Canvas, start: tuple, end: tuple, bond: int, entropy: float | None) -> None:
    page_style = canvas.page_style
    thick = 0.6 + 1.1 * math.log2(max(bond, 1))
    canvas.stroke(start, end, thick)
    x, y = (start[0] + end[0]) / 2, start[1]
    away = 0.75 * page_style.font + thick * page_style.line / 2
    canvas.text((x, y - away), str(bond))
    hover = f"bond of {bond}"
    if entropy is not None:
        fits = page_style.text_width("0.00 bits", page_style.small) < 0.5 * (end[0] - start[0])
        canvas.text((x, y + away), f"{entropy:.2f}{' bits' if fits else ''}", page_style.small)
        hover += f"<br>entropy {entropy:.3f} bits"
    canvas.spot((x, y), hover)


def _fill(page_style: PageStyle) -> str:
    return theme.mix(
        theme.BLUE, page_style.inks.paper if page_style.theme != "page" else "#ffffff", 0.25
    )
