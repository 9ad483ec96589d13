"""What stands on a figure beside what it draws: shapes and notes, as calls of matplotlib."""

from collections.abc import Sequence
from typing import Any

from qtha_lab.figures.machinery import script_source as source
from qtha_lab.figures.machinery.script_page import ScriptPage
from qtha_lab.figures.machinery.theme import inks

ANCHORS = {"left": "left", "right": "right", "center": "center", "auto": "center"}
HEIGHTS = {"top": "top", "bottom": "bottom", "middle": "center", "auto": "center"}


def shapes(page: ScriptPage) -> list[str]:
    """The lines that draw lines, boxes and circles."""
    lines = []
    for shape in page.layout.get("shapes") or ():
        axes, transform = _where(page, shape)
        ink = shape.get("line") or {}
        width = page.points(ink.get("width", 2))
        color = source.color(ink.get("color") or inks(page.look.theme).text)
        order = 0.5 if shape.get("layer") == "below" else 2.5
        x0, x1, y0, y1 = (
            _share(page, shape, key[0], shape.get(key, 0)) for key in ("x0", "x1", "y0", "y1")
        )
        if shape["type"] == "line":
            dash = source.dash(ink.get("dash"), ink.get("width", 2))
            lines.append(
                f"{axes}.plot([{x0!r}, {x1!r}], [{y0!r}, {y1!r}], color={color}, linewidth={width}, linestyle={dash}, "
                f"transform={transform}, zorder={order}, scalex=False, scaley=False)"
            )
            continue
        fill = source.color(shape["fillcolor"]) if shape.get("fillcolor") else '"none"'
        edge = color if width else '"none"'
        options = f"facecolor={fill}, edgecolor={edge}, linewidth={width}, transform={transform}, zorder={order + 0.2}"
        patch = (
            f"patches.Ellipse(({(x0 + x1) / 2!r}, {(y0 + y1) / 2!r}), {abs(x1 - x0)!r}, {abs(y1 - y0)!r}, {options})"
            if shape["type"] == "circle"
            else f"patches.Rectangle(({min(x0, x1)!r}, {min(y0, y1)!r}), {abs(x1 - x0)!r}, {abs(y1 - y0)!r}, {options})"
        )
        lines.append(f"{axes}.add_patch({patch})")
    return lines


def notes(page: ScriptPage) -> list[str]:
    """The lines that write words at places."""
    lines = []
    for note in page.layout.get("annotations") or ():
        axes, transform = _where(page, note)
        font = note.get("font") or {}
        x, y = (_unlogged(page, note, letter) for letter in "xy")
        options: dict[str, Any] = {
            "xycoords": transform, "textcoords": '"offset points"',
            "xytext": (page.points(note.get("xshift") or 0), page.points(note.get("yshift") or 0)),
            "ha": repr(ANCHORS[note.get("xanchor") or "auto"]), "va": repr(HEIGHTS[note.get("yanchor") or "auto"]),
            "fontsize": page.points(font.get("size", page.look.font)), "annotation_clip": False,
        }  # fmt: skip
        if isinstance(font.get("color"), str):
            options["color"] = source.color(font["color"])
        if angle := note.get("textangle"):
            options["rotation"] = -angle
        if note.get("bgcolor"):
            options["bbox"] = (
                f"dict(facecolor={source.color(note['bgcolor'])}, edgecolor='none', pad=0.5)"
            )
        lines.append(
            f"{axes}.annotate({source.words(note.get('text') or '')!r}, ({x!r}, {y!r}), {source.keywords(options)})"
        )
    return lines


def _where(page: ScriptPage, part: dict[str, Any]) -> tuple[str, str]:
    """The axes that a shape or note belongs to, and the transform of its numbers."""
    refs = [part.get(f"{letter}ref") or letter for letter in "xy"]
    shares = [ref == "paper" or ref.endswith("domain") for ref in refs]
    axes = page.names[_pair(page, part, refs)]
    if shares[0] == shares[1]:
        return axes, f"{axes}.{'transAxes' if shares[0] else 'transData'}"
    return axes, f"{axes}.get_{'y' if shares[0] else 'x'}axis_transform()"


def _pair(page: ScriptPage, part: dict[str, Any], refs: Sequence[str]) -> tuple[str, str]:
    """The axes that a part is drawn on: those it names, and where it stands on the page the nearest."""

    def distance(pair: tuple[str, str]) -> float:
        apart = 0.0
        for letter, ref, name in zip("xy", refs, pair, strict=True):
            if ref == "paper":
                low, high = page.axis(name).get("domain") or (0, 1)
                share = part.get(letter, part.get(f"{letter}0", 0.5))
                apart += max(low - share, share - high, 0) + 1e-3 * abs(share - high)
            elif ref.split(" ")[0] != name:
                apart += 10
        return apart

    return min(page.pairs, key=distance)


def _share(page: ScriptPage, part: dict[str, Any], letter: str, value: float) -> float:
    """A share of the page as a share of the axes that it lies on."""
    refs = [part.get(f"{each}ref") or each for each in "xy"]
    if part.get(f"{letter}ref") != "paper":
        return value
    name = _pair(page, part, refs)["xy".index(letter)]
    low, high = page.axis(name).get("domain") or (0, 1)
    return round((value - low) / ((high - low) or 1), 5)


def _unlogged(page: ScriptPage, note: dict[str, Any], letter: str) -> Any:
    """Where a note stands; plotly has it as a logarithm on a logarithmic axis."""
    ref, value = note.get(f"{letter}ref") or letter, note.get(letter, 0)
    if ref == "paper":
        return _share(page, note, letter, value)
    return 10.0**value if page.axis(ref).get("type") == "log" and "domain" not in ref else value
