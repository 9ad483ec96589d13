"""An explorer of false wins: studies of two methods that do not differ.

Shares come from `analysis.false_wins`, the picture from `figures.false_wins`.
"""

from types import SimpleNamespace
from typing import Any, ClassVar

import traitlets

from qtha_lab.analysis.false_wins import RULES, STUDIES, Freedoms
from qtha_lab.analysis.false_wins import false_wins as shares_of
from qtha_lab.figures.false_wins import false_wins

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

RATES = "rates tried for QTHA"
HONEST = {"seeds": 5, "rates": 1, "measures": 1, "subsets": 1, "stops": False, "rule": RULES[0]}


class FoolingMachineModel(ExplorerModel):
    """The freedoms with which a study without any effect claims a win.

    Args:
        options: Initial values of its state, such as rates=5.

    Example:
        >>> machine = FoolingMachineModel(rates=5, stops=True)
        >>> machine.shares["as planned"] < 0.05 < machine.shares["+ stopping"]
        True
    """

    STATE = ("rule", "seeds", "rates", "measures", "subsets", "stops")
    PRESETS: ClassVar = {
        "How often does a plan kept to the letter claim a win?": HONEST,
        "What if only one method is tuned?": HONEST | {"rates": 6},
        "What if everything is chosen afterwards?": HONEST
        | {
            "seeds": 20,
            "rates": 5,
            "measures": 3,
            "subsets": 3,
            "stops": True,
        },
    }
    rule = Choice(RULES, "a win is")
    seeds, rates = Choice(range(3, 21), slider=True), Choice(range(1, 7), RATES, slider=True)
    measures, subsets = Choice(range(1, 5), slider=True), Choice(range(1, 6), slider=True)
    stops = traitlets.Bool(False).tag(label="stop at the first win")

    def __init__(self, **options: Any):
        super().__init__(HONEST | options)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the studies that claim a win, as freedoms are added."""
        return shares_of(self._freedoms(self))

    def compute(self, state: SimpleNamespace) -> Drawing:
        freedoms = self._freedoms(state)
        shares = shares_of(freedoms)
        last = list(shares.values())[-1]
        row = {"claim a win as planned": f"{shares['as planned']:.1%}", "with all": f"{last:.1%}"}
        code = f"false_wins(shares_of({freedoms!r}), {STUDIES})"
        return Drawing({"wins": false_wins(shares, STUDIES)}, [row], code)

    def _freedoms(self, state: Any) -> Freedoms:
        return Freedoms(**{name: getattr(state, name) for name in self.STATE})


class FoolingMachine(Explorer, FoolingMachineModel):
    """Panel of the analysis choices with which a study without an effect claims a win."""

    ROWS = (("rule", "seeds", "stops"), ("rates", "measures", "subsets"))
