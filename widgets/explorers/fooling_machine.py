"""An explorer of false wins: studies of two methods that do not differ.

Shares come from `analysis.false_wins`, the picture from `figures.false_wins`.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import traitlets

from qtha_lab.analysis.false_wins import RULES, STUDIES, Freedoms
from qtha_lab.analysis.false_wins import false_wins as shares_of
from qtha_lab.figures.false_wins import false_wins

from ..kit import controls
from ..kit.choice import Choice
from .explorer import Drawing, Explorer

RANGES = {
    "seeds": range(3, 21),
    "rates": range(1, 7),
    "measures": range(1, 5),
    "subsets": range(1, 6),
}
HONEST = {"seeds": 5, "rates": 1, "measures": 1, "subsets": 1, "stops": False, "rule": RULES[0]}


class FoolingMachine(Explorer):
    """An explorer of the freedoms with which a study without any effect claims a win.

    Args:
        options: Initial values of its state, such as rates=5.

    Example:
        >>> machine = FoolingMachine(rates=5, stops=True)
        >>> machine.shares["as planned"] < 0.05 < machine.shares["+ stopping"]
        True
    """

    STATE = ("rule", "seeds", "rates", "measures", "subsets", "stops")
    DIAGRAMS = ("wins",)
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
    rule, seeds, rates, measures, subsets = (Choice() for _ in range(5))
    stops = traitlets.Bool(False)

    def __init__(self, **options: Any):
        first = {
            "rule": controls.Select(description="a win is"),
            "seeds": controls.Slider("seeds", RANGES["seeds"]),
            "stops": controls.Checkbox(False, description="stop at the first win"),
        }
        titles = {"rates": "rates tried for QTHA", "measures": "measures", "subsets": "subsets"}
        second = {name: controls.Slider(title, RANGES[name]) for name, title in titles.items()}
        super().__init__([first, second], HONEST | options)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the studies that claim a win, as freedoms are added."""
        return shares_of(self._freedoms(self))

    def offers(self, name: str) -> Sequence:
        return RULES if name == "rule" else RANGES[name]

    def compute(self, state: SimpleNamespace) -> Drawing:
        freedoms = self._freedoms(state)
        shares = shares_of(freedoms)
        last = list(shares.values())[-1]
        row = {"claim a win as planned": f"{shares['as planned']:.1%}", "with all": f"{last:.1%}"}
        code = f"false_wins(shares_of({freedoms!r}), {STUDIES})"
        return Drawing({"wins": false_wins(shares, STUDIES)}, [row], code)

    def _freedoms(self, state: Any) -> Freedoms:
        return Freedoms(**{name: getattr(state, name) for name in self.STATE})
