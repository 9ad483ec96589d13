"""Colours as printed in grey, or as seen without red or green cones."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from qtha_lab.core.errors import Refusal

HEX = re.compile(r"#([0-9a-fA-F]{6})\b")
RGB = re.compile(r"(rgba?)\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*")
# Source: Machado, Oliveira and Fernandes 2009, IEEE Trans. Vis. Comput. Graph. 15, 1291, severity
# 1; grey is the luminance of Rec. 709. All act on linear light.
MATRICES = {
    "greyscale": ((0.2126, 0.7152, 0.0722),) * 3,
    "without red cones": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "without green cones": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
NORMAL = "in colour"
SIGHTS = (NORMAL, *MATRICES)


def seen(color: str, sight: str) -> str:
    """Return a colour `#rrggbb` as it appears with a colour-vision deficiency.

    Args:
        color: Colour in sRGB.
        sight: One of `SIGHTS`.

    Raises:
        Refusal: If the sight is unknown.

    Example:
        >>> seen("#ff0000", "greyscale"), seen("#ffffff", "without red cones")
        ('#7f7f7f', '#ffffff')
    """
    if sight not in SIGHTS:
        raise Refusal(f"sight must be one of {', '.join(SIGHTS)}, got {sight!r}.")
    if sight == NORMAL:
        return color
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in _mapped((red, green, blue), sight))


def all_seen(drawing: Any, sight: str) -> Any:
    """Return plain data with each colour in its texts replaced by `seen`.

    Args:
        drawing: Dictionaries, lists and texts, as of a plotly figure.
        sight: One of `SIGHTS`.
    """
    if isinstance(drawing, dict):
        return {key: all_seen(value, sight) for key, value in drawing.items()}
    if isinstance(drawing, list | tuple):
        return [all_seen(value, sight) for value in drawing]
    if not isinstance(drawing, str) or sight == NORMAL:
        return drawing
    text = HEX.sub(lambda match: seen(match[0], sight), drawing)
    return RGB.sub(_replaced(sight), text)


def _replaced(sight: str) -> Callable[[re.Match], str]:
    def replace(match: re.Match) -> str:
        values = _mapped(tuple(int(match[k]) for k in (2, 3, 4)), sight)
        return f"{match[1]}({', '.join(map(str, values))}"

    return replace


def _mapped(values: tuple[int, ...], sight: str) -> list[int]:
    light = np.array(values) / 255
    linear = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(np.array(MATRICES[sight]) @ linear, 0, 1)
    back = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return [round(255 * value) for value in back.tolist()]
