"""An explorer of one token's path through QTHA, stage by stage.

Numbers come from `analysis.updates.token_path`, the picture from `figures.token_path`.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from torch import Tensor

from qtha_lab.adapters.qtha_config import STARTS, QthaConfig
from qtha_lab.analysis.updates.token_path import STAGES, TokenPath, toy_inputs
from qtha_lab.analysis.updates.token_path import token_path as path_of
from qtha_lab.core.errors import Refusal
from qtha_lab.figures.token_path import token_path

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

TEXT = "How do birds know where to fly?"
SCALES = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
BRANCHES = ("both", "circuit alone")
RANKS = tuple(range(2, 9))


class DataPathModel(ExplorerModel):
    """The values of one token at every stage of a QTHA adapter.

    Args:
        inputs: Inputs of the layer by token; None takes a sentence of the toy model.
        trained: Trained tensors of the layer by name of an initialisation, offered beside the
            initial ones.
        options: Initial values of its state, such as input_scale=3.

    Example:
        >>> import torch
        >>> path = DataPathModel({"one": torch.ones(16)}, r=2)
        >>> path.stage = "h = A u"
        >>> len(path.path.values["h = A u"]), path.state["init"]
        (2, 'balanced')
    """

    STATE = ("token", "init", "r", "input_scale", "branches", "stage")
    PRESETS: ClassVar = {
        "Where do angles pass ± π?": {
            "init": "balanced",
            "input_scale": 6.0,
            "branches": "both",
            "stage": "h = A u",
        },
        "Does the first step begin at zero?": {
            "init": "paper",
            "input_scale": 1.0,
            "branches": "both",
            "stage": "Δy",
        },
        "Which branch is larger?": {
            "init": "balanced",
            "input_scale": 1.0,
            "branches": "both",
            "stage": "z",
        },
    }
    token, init, stage = Choice(), Choice(label="initialisation"), Choice()
    r, branches = Choice(RANKS, slider=True), Choice(BRANCHES)
    input_scale = Choice(SCALES, "factor before the angles", slider=True, text="{:g}".format)

    def __init__(
        self,
        inputs: Mapping[str, Tensor] | None = None,
        trained: Mapping[str, Mapping[str, Tensor]] | None = None,
        **options: Any,
    ):
        self.inputs = dict(toy_inputs(TEXT) if inputs is None else inputs)
        self.trained = dict(trained or {})
        if not self.inputs:
            raise Refusal("inputs has no token.")
        usual = {"init": "balanced", "r": 4, "input_scale": 1.0, "stage": "h = A u"}
        super().__init__(usual | options)

    @property
    def path(self) -> TokenPath:
        """The values of the current state (see `TokenPath`)."""
        return self._path(self)

    def offers(self, name: str) -> Sequence:
        if name == "stage":
            return [s for s in STAGES if self.branches != "circuit alone" or s != "W_c h"]
        if name == "init":
            return [start for start in STARTS if start != "gradient"] + list(self.trained)
        return list(self.inputs) if name == "token" else super().offers(name)

    def compute(self, state: SimpleNamespace) -> Drawing:
        path = self._path(state)
        values = path.values[state.stage]
        figure = token_path(path.rms, path.chance_rms, state.stage, values, state.input_scale)
        power = "no linear branch" if path.branch_power is None else f"{path.branch_power:.1%}"
        row = {
            "token": state.token,
            "angles beyond ± π": f"{path.beyond_pi:.0%}",
            "power of the circuit branch over the linear one": power,
            "Δy": f"{path.rms['Δy']:.3g}",
        }
        code = (
            f"config = {_text(self._config(state))}\n"
            f"path = path_of(config, inputs[{state.token!r}], {self._out_features(state)})\n"
            f"path.values[{state.stage!r}]"
        )
        return Drawing({"path": figure}, [row], code)

    def _path(self, state: Any) -> TokenPath:
        trained = self.trained.get(state.init)
        x = self.inputs[state.token]
        return path_of(self._config(state), x, self._out_features(state), trained)

    def _config(self, state: Any) -> QthaConfig:
        start = "balanced" if state.init in self.trained else state.init
        return QthaConfig(
            r=state.r,
            waist=16,
            bond_dim=3,
            n_layers=2,
            init=start,
            input_scale=state.input_scale,
            use_linear=state.branches == "both",
        )

    def _out_features(self, state: Any) -> int:
        return len(self.inputs[state.token])


class DataPath(Explorer, DataPathModel):
    """Panel of the values of one token at every stage of a QTHA adapter."""

    ROWS = (("token", "init", "stage"), ("r", "input_scale", "branches"))


def _text(config: QthaConfig) -> str:
    names = ("r", "waist", "bond_dim", "n_layers", "init", "input_scale", "use_linear")
    settings = ", ".join(f"{name}={getattr(config, name)!r}" for name in names)
    return f"QthaConfig({settings})"
