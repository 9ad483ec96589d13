"""A weight as a matrix product operator while its bonds are dragged: the chain, its error, its size.

Numbers come from `analysis.decomposed`, pictures from `figures.mpo` and `figures.truncation`.
"""

import functools
import itertools
from collections.abc import Mapping

import ipywidgets as ipw
from torch import Tensor

from qtha_lab.analysis.networks.decomposed import Decomposed
from qtha_lab.errors import Refusal
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.mpo import mpo_diagram
from qtha_lab.figures.truncation import truncation_error

from . import look
from .aria import Aria
from .redraw import Redrawn

SITES = (2, 3, 4)
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
ON_CURVE = (1, 2, 4, 8, 16, 32, 64, 128)


class MpoExplorer:
    """Pick a weight, cores and their order; drag each bond. Show it, or `explorer.panel`.

    Args:
        weights: Matrices by name, of at most a few thousand rows and columns.

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
        self.twin = look.text("", "qtha-code")
        self._quiet = False
        self._decomposed = functools.lru_cache(maxsize=64)(self._decompose)
        self._curve = functools.lru_cache(maxsize=64)(self._trace)
        self._offer_bonds()
        self.chain, self.errors = Redrawn(self._chain(), css=""), Redrawn(self._errors())
        self.weight.observe(self._picked, "value")
        self.sites.observe(self._sites_picked, "value")
        self.order.observe(self._picked, "value")
        choice = look.row(self.weight, self.sites, self.order)
        parts = (look.style_sheet(), Aria(), choice, self.sliders, self.numbers)
        pictures = (self.chain.panel, self.errors.panel, self.twin)
        self.panel = look.column(*parts, *pictures, css="qtha-explorer")
        self._tell()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.panel)

    @property
    def decomposed(self) -> Decomposed:
        """The chosen weight before any cut."""
        return self._decomposed(self.weight.value, self.order.value)

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
        order = self.order.value
        cut = f"cut({self.widths})"
        return f"Decomposed.of(weights[{self.weight.value!r}], {len(order)}, order={order}).{cut}"

    def draw(self) -> None:
        """Draw what the controls say."""
        if self._quiet:
            return
        self.__dict__.pop("point", None)
        self.chain.show(self._chain())
        self.errors.show(self._errors())
        self._tell()

    def _chain(self) -> Figure:
        point, entropies = self.point, [bond.entropy_bits for bond in self.decomposed.bonds]
        return mpo_diagram(point.in_dims, point.out_dims, point.bonds[1:-1], entropies)

    def _errors(self) -> Figure:
        curve, point = self._curve(self.weight.value, self.order.value), self.point
        chosen = (point.n_parameters, point.relative_error)
        return truncation_error({self.weight.value: curve}, point.dense_parameters, chosen)

    def _tell(self) -> None:
        """The numbers of the point, and the line that computes it."""
        point = self.point
        row = {
            "parameters": f"{point.n_parameters:,}",
            "of the matrix": f"{point.n_parameters / point.dense_parameters:.1%}",
            "relative error": f"{point.relative_error:.3f}",
            "operations a token": f"{point.flops_per_token:,}",
        }
        self.numbers.value, self.twin.value = look.table([row]), look.code(self.code)

    def _decompose(self, weight: str, order: tuple[int, ...]) -> Decomposed:
        return Decomposed.of(self.weights[weight], len(order), order)

    def _trace(self, weight: str, order: tuple[int, ...]) -> list[tuple[int, float]]:
        whole = self._decomposed(weight, order)
        widths = [width for width in ON_CURVE if width <= max(whole.widths)] + [max(whole.widths)]
        return [(point.n_parameters, point.relative_error) for point in whole.curve(widths)]

    def _sites_picked(self, _change) -> None:
        self._quiet = True
        self.order.options = _orders(self.sites.value)
        self._quiet = False
        self._picked()

    def _picked(self, _change=None) -> None:
        if not self._quiet:
            self._offer_bonds()
            self.draw()

    def _offer_bonds(self) -> None:
        """A slider for each bond, from 1 to what it holds, at its end to begin with."""
        self.bonds = []
        for position, most in enumerate(self.decomposed.widths, start=1):
            widths = [*(width for width in WIDTHS if width < most), most]
            slider = ipw.SelectionSlider(
                options=widths,
                value=most,
                description=f"bond {position}",
                layout={"width": "420px"},
            )
            slider.observe(lambda _: self.draw(), "value")
            self.bonds.append(slider)
        self.sliders.children = self.bonds


def _orders(n_sites: int) -> list[tuple[str, tuple[int, ...]]]:
    """Every order of the digits along the chain, mirror images left out."""
    found = [o for o in itertools.permutations(range(n_sites)) if o[0] < o[-1]]
    return [("digits " + " ".join(str(k + 1) for k in order), order) for order in found]
