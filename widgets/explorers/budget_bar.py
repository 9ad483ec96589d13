"""An explorer of trained parameters: bars of QTHA and LoRA by part.

Counts come from `analysis.parameter_budget`, the picture from `figures.parameter_budget`.
"""

from types import SimpleNamespace
from typing import Any, ClassVar

from qtha_lab.adapters.qtha_config import GRID
from qtha_lab.analysis.parameter_budget import (
    ANGLES,
    MODELS,
    lora_budget,
    qtha_budget,
    quantum_share,
)
from qtha_lab.figures.parameter_budget import parameter_budget

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

RANKS = tuple(range(1, 17))
LAYERS = tuple(range(1, 9))


class BudgetBarModel(ExplorerModel):
    """The parameters that QTHA and LoRA train on one model.

    Args:
        options: Initial values of its state, such as waist=256.

    Example:
        >>> bar = BudgetBarModel(waist=16, bond_dim=3)
        >>> bar.totals
        {'qtha': 6900, 'lora': 7680}
        >>> bar.code.splitlines()[-3]
        "qtha = qtha_budget('tiny', r=4, waist=16, bond_dim=3, n_layers=4)"
    """

    STATE = ("model", "r", "waist", "bond_dim", "n_layers", "lora_r")
    PRESETS: ClassVar = {
        "Where are the numbers?": {
            "model": "tiny",
            "r": 4,
            "waist": 16,
            "bond_dim": 3,
            "n_layers": 4,
            "lora_r": 2,
        },
        "Is the same r the same size?": {
            "model": "tiny",
            "r": 2,
            "waist": 256,
            "bond_dim": 3,
            "n_layers": 2,
            "lora_r": 2,
        },
        "How much of a large model's adapter is quantum?": {
            "model": "Qwen2-7B",
            "r": 10,
            "waist": 256,
            "bond_dim": 8,
            "n_layers": 1,
            "lora_r": 10,
        },
    }
    model = Choice(tuple(MODELS))
    r, lora_r = Choice(RANKS, "r of QTHA", slider=True), Choice(RANKS, "r of LoRA", slider=True)
    waist, bond_dim = Choice(GRID["waist"], slider=True), Choice(RANKS, "bond", slider=True)
    n_layers = Choice(LAYERS, "circuit layers", slider=True)

    def __init__(self, **options: Any):
        super().__init__({**next(iter(self.PRESETS.values())), **options})

    @property
    def totals(self) -> dict[str, int]:
        """Trained parameters of both methods."""
        qtha, lora = self._budgets(self)
        return {"qtha": qtha.total, "lora": lora.total}

    def compute(self, state: SimpleNamespace) -> Drawing:
        qtha, lora = self._budgets(state)
        figure = parameter_budget({b.label: b.parts for b in (qtha, lora)}, ANGLES)
        row = {
            "QTHA": f"{qtha.total:,}",
            "LoRA": f"{lora.total:,}",
            "QTHA / LoRA": f"{qtha.total / lora.total:.1%}",
            "angles of QTHA": f"{quantum_share(qtha):.2%}",
        }
        settings = ", ".join(f"{name}={value}" for name, value in _options(state).items())
        code = (
            f"qtha = qtha_budget({state.model!r}, {settings})\n"
            f"lora = lora_budget({state.model!r}, r={state.lora_r})\n"
            "parameter_budget({b.label: b.parts for b in (qtha, lora)}, ANGLES)"
        )
        return Drawing({"budget": figure}, [row], code)

    def _budgets(self, state: Any):
        return qtha_budget(state.model, **_options(state)), lora_budget(state.model, state.lora_r)


class BudgetBar(Explorer, BudgetBarModel):
    """Panel of the parameters that QTHA and LoRA train on one model."""

    ROWS = (("model", "r", "waist"), ("bond_dim", "n_layers", "lora_r"))


def _options(state: Any) -> dict[str, int]:
    return {name: getattr(state, name) for name in ("r", "waist", "bond_dim", "n_layers")}
