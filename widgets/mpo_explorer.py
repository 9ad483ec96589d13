"""A weight as a matrix product operator while its bonds are dragged: the chain, its error, its size.

Numbers come from `analysis.decomposed`, pictures from `figures.mpo` and `figures.truncation`.
"""

import functools
import itertools
from collections.abc import Mapping
from typing import cast

import ipywidgets as ipw
from torch import Tensor

from qtha_lab.analysis.networks.decomposed import Decomposed
from qtha_lab.errors import Refusal
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.mpo import mpo_diagram
from qtha_lab.figures.truncation import truncation_error

from . import look
from .aria import Aria
from .figure_view import FigureView
from .guard import ErrorLine

SITES = (2, 3, 4)
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
ON_CURVE = (1, 2, 4, 8, 16, 32, 64, 128)


class MpoExplorer:
    """Pick a weight, cores and their order; drag each bond. Show it, or `explorer.panel`.

    Args:
        weights: Matrices by name, of at most a few thousand rows and columns.

    Raises:
        Refusal: If there is no weight.

    Example:
        >>> import torch
        >>> explorer = MpoExplorer({"swap": torch.eye(4)[[0, 2, 1, 3]]})
        >>> explorer.code
        "Decomposed.of(weights['swap'], 2, order=(0, 1)).cut([4])"
        >>> explorer.bonds[0].value = 1  # one of four equal terms is left
        >>> round(explorer.point.relative_error**2, 6)
        0.75
    """

    def __init__(self, weights: Mapping[str, Tensor]):
        self.weights = dict(weights)
        if not self.weights:
            raise Refusal("an explorer needs at least one weight, not none")
        wide = {"width": "340px"}
        self.weight = ipw.Dropdown(description="weight", options=list(self.weights), layout=wide)
        self.sites = ipw.Dropdown(description="cores", options=SITES, layout={"width": "150px"})
        self.order = ipw.Dropdown(
            description="order", options=_orders(2), layout={"width": "200px"}
        )
        self.bonds: list[ipw.SelectionSlider] = []
        self.sliders = look.column()
        self.numbers = look.text("", "qtha-table")
        self.code_text = look.text("", "qtha-code")
        self.error = ErrorLine()
        self._quiet = False
        self._decomposed = functools.lru_cache(maxsize=64)(self._decompose)
        self._curve = functools.lru_cache(maxsize=64)(self._trace)
        self._offer_bonds()
        self.chain, self.errors = FigureView(self._chain(), css=""), FigureView(self._errors())
        self.weight.observe(self.error.guard(self._renew), "value")
        self.sites.observe(self.error.guard(self._change_sites), "value")
        self.order.observe(self.error.guard(self._renew), "value")
        choice = look.row(self.weight, self.sites, self.order)
        controls = (look.style_sheet(), Aria(), choice, self.sliders, self.error.panel)
        results = (self.numbers, self.chain.panel, self.errors.panel, self.code_text)
        self.panel = look.column(*controls, *results, css="qtha-explorer")
        self._show_numbers()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.panel)

    @property
    def chosen(self) -> tuple[str, tuple[int, ...]]:
        """The name of the weight, and the order of its digits along the chain."""
        return cast(str, self.weight.value), cast(tuple, self.order.value)

    @property
    def decomposed(self) -> Decomposed:
        """The chosen weight before any cut."""
        return self._decomposed(*self.chosen)

    @property
    def widths(self) -> list[int]:
        """The bonds as dragged."""
        return [slider.value for slider in self.bonds]

    @functools.cached_property
    def point(self):
        """What is left of the weight at these bonds (see `Factorised`)."""
        return self.decomposed.cut(self.widths)

    @property
    def code(self) -> str:
        """The line that computes the same without this panel."""
        weight, order = self.chosen
        cut = f"cut({self.widths})"
        return f"Decomposed.of(weights[{weight!r}], {len(order)}, order={order}).{cut}"

    def draw(self) -> None:
        """Draw what the controls say."""
        if self._quiet:
            return
        self.__dict__.pop("point", None)
        self.chain.show(self._chain())
        self.errors.show(self._errors())
        self._show_numbers()

    def _chain(self) -> Figure:
        point, entropies = self.point, [bond.entropy_bits for bond in self.decomposed.bonds]
        return mpo_diagram(point.in_dims, point.out_dims, point.bonds[1:-1], entropies)

    def _errors(self) -> Figure:
        weight, order = self.chosen
        point = self.point
        mark = (point.n_parameters, point.relative_error)
        return truncation_error({weight: self._curve(weight, order)}, point.dense_parameters, mark)

    def _show_numbers(self) -> None:
        """Show the numbers of the point, and the line that computes it."""
        point = self.point
        row = {
            "parameters": f"{point.n_parameters:,}",
            "of the matrix": f"{point.n_parameters / point.dense_parameters:.1%}",
            "relative error": f"{point.relative_error:.3f}",
            "operations per token": f"{point.flops_per_token:,}",
        }
        self.numbers.value, self.code_text.value = look.table([row]), look.code(self.code)

    def _decompose(self, weight: str, order: tuple[int, ...]) -> Decomposed:
        return Decomposed.of(self.weights[weight], len(order), order)

    def _trace(self, weight: str, order: tuple[int, ...]) -> list[tuple[int, float]]:
        whole = self._decomposed(weight, order)
        widths = [width for width in ON_CURVE if width <= max(whole.widths)] + [max(whole.widths)]
        return [(point.n_parameters, point.relative_error) for point in whole.curve(widths)]

    def _change_sites(self, change) -> None:
        self._quiet = True
        self.order.options = _orders(change["new"])
        self._quiet = False
        self._renew()

    def _renew(self, _change=None) -> None:
        if not self._quiet:
            self._offer_bonds()
            self.draw()

    def _offer_bonds(self) -> None:
        """Make a slider for each bond, from 1 to what it holds, at its end to begin with."""
        self.bonds = []
        draw = self.error.guard(lambda _: self.draw())
        for position, widest in enumerate(self.decomposed.widths, start=1):
            widths = [*(width for width in WIDTHS if width < widest), widest]
            slider = ipw.SelectionSlider(
                options=widths,
                value=widest,
                description=f"bond {position}",
                layout={"width": "420px"},
            )
            slider.observe(draw, "value")
            self.bonds.append(slider)
        self.sliders.children = self.bonds


def _orders(n_sites: int) -> list[tuple[str, tuple[int, ...]]]:
    """Every order of the digits along the chain, mirror images left out."""
    orders = [o for o in itertools.permutations(range(n_sites)) if o[0] < o[-1]]
    return [("digits " + " ".join(str(k + 1) for k in order), order) for order in orders]
