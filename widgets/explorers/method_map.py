"""An explorer of related methods: parameters by width, merging and bounds of rank.

Counts come from `analysis.method_map`, the picture from `figures.parameters_by_width`.
"""

from types import SimpleNamespace
from typing import Any, ClassVar

from qtha_lab.analysis.method_map import MappedMethod, method_map
from qtha_lab.figures.parameters_by_width import SizeAtWidth, parameters_by_width

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096)
RANKS = (2, 4, 8)
KINDS = {
    "all": lambda method: True,
    "those that merge": lambda method: method.merges,
    "those that do not merge": lambda method: not method.merges,
    "those bounded by r": lambda method: method.bounded,
    "those not bounded by r": lambda method: not method.bounded,
}


class MethodMapModel(ExplorerModel):
    """LoRA and its quantum relatives on one square layer.

    Args:
        options: Initial values of its state, such as width=4096.

    Example:
        >>> MethodMapModel(width=4096, r=4).smallest
        'quantum_peft'
    """

    STATE = ("kind", "width", "r")
    PRESETS: ClassVar = {
        "Who is small on the toy?": {"kind": "all", "width": 256, "r": 4},
        "Who is small on a large layer?": {"kind": "all", "width": 4096, "r": 4},
        "Who can exceed rank r?": {"kind": "those not bounded by r", "width": 1024, "r": 4},
    }
    kind = Choice(tuple(KINDS), "methods")
    width, r = Choice(WIDTHS, "width of the layer", slider=True), Choice(RANKS, slider=True)

    def __init__(self, **options: Any):
        super().__init__({**next(iter(self.PRESETS.values())), **options})

    @property
    def smallest(self) -> str:
        """Name of the shown method with the fewest trained parameters."""
        return min(self._shown(self.width, self), key=lambda method: method.parameters).name

    def compute(self, state: SimpleNamespace) -> Drawing:
        points: list[SizeAtWidth] = [
            {"method": method.name, "width": width, "parameters": method.parameters}
            for width in WIDTHS
            for method in self._shown(width, state)
        ]
        rows = [
            {
                "method": method.name,
                "trained": f"{method.parameters:,}",
                "of LoRA": f"{method.parameters / (2 * state.r * state.width):.2%}",
                "merges": "yes" if method.merges else "no",
                "rank bounded by r": "yes" if method.bounded else "no",
            }
            for method in self._shown(state.width, state)
        ]
        code = f"method_map({state.width}, r={state.r})"
        return Drawing({"sizes": parameters_by_width(points, state.width)}, rows, code)

    def _shown(self, width: int, state: Any) -> list[MappedMethod]:
        return list(filter(KINDS[state.kind], method_map(width, state.r)))


class MethodMap(Explorer, MethodMapModel):
    """Panel of LoRA and its quantum relatives on one square layer."""

    ROWS = (("kind", "width", "r"),)
