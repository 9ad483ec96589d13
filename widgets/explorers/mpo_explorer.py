"""An explorer of a weight as a matrix product operator with adjustable bond dimensions.

Shows the chain, its error and its size. Numbers come from `analysis.decomposed`, pictures from
`figures.mpo` and `figures.truncation`.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import traitlets
from torch import Tensor

from qtha_lab.analysis.networks.factorisation import Decomposed
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting
from qtha_lab.figures.mpo_diagram import mpo_diagram
from qtha_lab.figures.truncation_error import truncation_error

from ..kit import boxes
from ..kit.setting_control import setting_control
from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

SITES = (2, 3, 4)
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
ON_CURVE = (1, 2, 4, 8, 16, 32, 64, 128)


class MpoModel(ExplorerModel):
    """A weight, its number of cores, their order, and one bond dimension per cut.

    Args:
        weights: Matrices by name, of at most a few thousand rows and columns.

    Raises:
        Refusal: If there is no weight.

    Example:
        >>> import torch
        >>> explorer = MpoModel({"swap": torch.eye(4)[[0, 2, 1, 3]]})
        >>> print(explorer.code)
        from qtha_lab.analysis.networks.factorisation import Decomposed
        <BLANKLINE>
        Decomposed.of(weights['swap'], 2, order=(0, 1)).cut([4])
        >>> explorer.bonds = [1]  # one of four equal terms is left
        >>> round(explorer.point.relative_error**2, 6)
        0.75
    """

    STATE = ("weight", "n_sites", "order", "bonds")
    weight, n_sites, order = Choice(), Choice(SITES, "cores"), Choice()
    bonds = traitlets.List()

    def __init__(self, weights: Mapping[str, Tensor]):
        self.weights = dict(weights)
        if not self.weights:
            raise Refusal("The explorer has no weight.")
        self.decomposed = functools.lru_cache(maxsize=64)(self._decompose)
        self._curve = functools.lru_cache(maxsize=64)(self._trace)
        super().__init__({})

    @property
    def point(self):
        """The weight truncated to the current bonds (see `Factorised`)."""
        return self.decomposed(self.weight, self.order).cut(self.bonds)

    def offers(self, name: str) -> Sequence:
        if name == "order":
            return _orders(self.n_sites)
        return list(self.weights) if name == "weight" else super().offers(name)

    @property
    def widest(self) -> Sequence[int]:
        """The bond dimensions of the chain without truncation."""
        return self.decomposed(self.weight, self.order).widths

    def settle(self) -> None:
        """Reset the bonds for a new chain, and check them.

        A new chain starts untruncated. A bond lies between 1 and the full bond dimension of its
        chain.
        """
        widest = self.widest
        if (self.good.get("weight"), self.good.get("order")) != (self.weight, list(self.order)):
            self.bonds = list(widest)
        if len(self.bonds) != len(widest):
            raise Refusal(f"bonds must hold {len(widest)} widths, got {len(self.bonds)}.")
        for number, (bond, most) in enumerate(zip(self.bonds, widest, strict=True), start=1):
            if not isinstance(bond, int) or not 1 <= bond <= most:
                raise Refusal(f"Bond {number} must be from 1 to {most}, got {bond!r}.")

    def compute(self, state: SimpleNamespace) -> Drawing:
        whole = self.decomposed(state.weight, state.order)
        point, entropies = whole.cut(state.bonds), [bond.entropy_bits for bond in whole.bonds]
        curves = {state.weight: self._curve(state.weight, state.order)}
        chosen = (point.n_parameters, point.relative_error)
        figures = {
            "chain": mpo_diagram(point.in_dims, point.out_dims, point.bonds[1:-1], entropies),
            "errors": truncation_error(curves, point.dense_parameters, chosen),
        }
        row = {
            "parameters": f"{point.n_parameters:,}",
            "of the matrix": f"{point.n_parameters / point.dense_parameters:.1%}",
            "relative error": f"{point.relative_error:.3f}",
            "operations per token": f"{point.flops_per_token:,}",
        }
        cut = f"{len(state.order)}, order={state.order}).cut({state.bonds})"
        return Drawing(figures, [row], f"Decomposed.of(weights[{state.weight!r}], {cut}")

    def _decompose(self, weight: str, order: tuple[int, ...]) -> Decomposed:
        return Decomposed.of(self.weights[weight], len(order), order)

    def _trace(self, weight: str, order: tuple[int, ...]) -> list[tuple[int, float]]:
        whole = self.decomposed(weight, order)
        widths = [width for width in ON_CURVE if width <= max(whole.widths)] + [max(whole.widths)]
        return [(point.n_parameters, point.relative_error) for point in whole.curve(widths)]


class MpoExplorer(Explorer, MpoModel):
    """Panel of the MPO of a weight, with a slider for each bond dimension."""

    ROWS = (("weight", "n_sites", "order"),)

    def below_controls(self) -> list[Any]:
        return [self.sliders]

    @functools.cached_property
    def sliders(self) -> Any:
        """The row of sliders, one per bond."""
        return boxes.row()

    def show_more(self) -> None:
        widest = self.widest
        if len(self.sliders.children) != len(widest):
            self.sliders.children = [self._slider(place) for place in range(len(widest))]
        for slider, bond, most in zip(self.sliders.children, self.bonds, widest, strict=True):
            options = sorted({*(w for w in WIDTHS if w < most), most, bond})
            boxes.show_options(slider, [(str(width), width) for width in options])
            slider.value = bond

    def _slider(self, place: int) -> Any:
        declared = Setting("bond", int, 1, choices=(1,))
        slider = setting_control(declared, label=f"bond {place + 1}", slider=True)

        def drag(change: dict[str, Any]) -> None:
            if not self.settling:
                self.bonds = [*self.bonds[:place], change["new"], *self.bonds[place + 1 :]]

        slider.observe(self.error.guard(drag), "value")
        return slider


def _orders(n_sites: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return every order of the digits along the chain, without mirror images."""
    orders = [o for o in itertools.permutations(range(n_sites)) if o[0] < o[-1]]
    return [("digits " + " ".join(str(k + 1) for k in order), order) for order in orders]
