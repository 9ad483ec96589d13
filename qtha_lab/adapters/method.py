"""What a method is: a name, settings, and the change it makes to a linear layer's output.

Holds no PEFT machinery (`peft` does) and no method; one of ours is one file beside this one:

    @dataclass
    class MyConfig(AdapterConfig):
        r: int = setting(8, "Bottleneck size.", ge=1)

    @method("mine", MyConfig, summary="…", source="…", default_learning_rate=1e-3)
    class Mine(Change):
        def tensors(self): return {"A": TensorSpec((self.config.r, self.layer.in_features)), …}
        def initialise(self, tensors): …
        def delta(self, tensors, x): …
        def n_parameters(self): …
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.errors import Refusal
from qtha_lab.looks import Look
from qtha_lab.settings import Setting, nearest

# What PEFT writes down for itself when it makes or saves an adapter: for nobody to choose.
NOTES = (
    "task_type",
    "peft_type",
    "auto_mapping",
    "peft_version",
    "qtha_lab_version",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
)
# And where an adapter goes: set by name, never offered in a form.
PLACEMENT = (
    *NOTES,
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "bias",
    "init_weights",
)


@dataclasses.dataclass(frozen=True)
class Layer:
    """The linear layer that is adapted: its sizes and where in the model it lies."""

    in_features: int
    out_features: int
    name: str = ""
    block: int | None = None
    n_blocks: int | None = None


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One named tensor of a method at one layer; a frozen one is saved but not trained."""

    shape: tuple[int, ...]
    trainable: bool = True


class Change(ABC):
    """The mathematics of one method at one layer: named tensors, and the change they make.

    Plain data only (it is copied and pickled with the model): tensors live in the PEFT layer.
    `gentle_start` names the option whose first step goes about as far as LoRA's, if there is one.
    """

    gentle_start: str = ""

    def __init__(self, config: Any, layer: Layer):
        self.config = config
        self.layer = layer

    @classmethod
    def is_linear(cls, config: Any) -> bool:
        """Whether the change is a constant matrix, so that it can be merged into the weight."""
        return True

    @abstractmethod
    def tensors(self) -> dict[str, TensorSpec]:
        """Names and shapes; a name has no dot."""

    @abstractmethod
    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the tensors in place: no change at the start, unless `init_weights` is False."""

    @abstractmethod
    def n_parameters(self) -> int:
        """Trainable parameters by the formula of the method's docstring."""

    @abstractmethod
    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        """What is added to the layer's output for the input x (float32 or float64)."""

    def delta_weight(
        self, tensors: Mapping[str, Tensor]
    ) -> Float[Tensor, "out_features in_features"]:
        """The change as a matrix, for a linear one."""
        some = next(iter(tensors.values()))
        identity = torch.eye(self.layer.in_features, dtype=some.dtype, device=some.device)
        return self.delta(tensors, identity).mT

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...] | None:
        """Thin matrices whose product is the part of the change that is linear in x, if it has such.

        Optional: analyses read ranks off them without making the product or running a circuit.
        """
        return None

    def operators(self, tensors: Mapping[str, Tensor]) -> dict[str, tuple[list[Tensor], Any]]:
        """The matrix product operators among the tensors: cores and `mpo.MpoShape` by name.

        Optional: analyses read bond dimensions and entanglement off them.
        """
        return {}

    def circuits(self) -> list[Any]:
        """All circuits of this one layer; they run once a token where they read data, else once a step."""
        return []

    @classmethod
    def not_mergeable(cls, config: Any) -> str:
        """Why this cannot be merged and what can be done instead, for the error message."""
        return "its change is not one constant matrix"


@dataclasses.dataclass(frozen=True)
class Control:
    """A method to compare with: the same one without the part that is said to matter.

    Args:
        title: What it is, in a few words.
        shows: What a difference to it would show.
        options: Settings of the method that are changed.
        without: Settings that are not carried along, since only the missing part reads them.
        method: Name of the method, filled in by `controls_of`.
    """

    title: str
    shows: str
    options: Mapping[str, Any]
    without: tuple[str, ...] = ()
    method: str = ""


class Method(ABC):
    """A way to fine-tune, ours or peft's: what the command line, forms and comparisons know of it."""

    name: str
    summary: str
    equation: str
    source: str
    ours: bool
    mergeable: bool
    default_learning_rate: float
    other_learning_rates: Mapping[tuple[str, Any], float] = {}
    config_class: type
    look: Look | None = None
    controls: tuple[Control, ...] = ()
    beside_lora: bool = False  # lists put LoRA of equal r and of equal size beside it

    @abstractmethod
    def settings(self) -> dict[str, Setting]:
        """What a form or a command line offers, without `target_modules` and its like."""

    @abstractmethod
    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the config class for checked options."""

    @abstractmethod
    def check_sizes(self, config: Any, sizes: Iterable[tuple[int, int]]) -> None:
        """Refuse (in_features, out_features) that a config cannot adapt."""

    @abstractmethod
    def owns(self, config: Any) -> bool:
        """Whether a PEFT config is one of this method."""

    def learning_rate_of(self, options: Mapping[str, Any]) -> float:
        """Where to start with these options when nothing is known."""
        others = self.other_learning_rates.items()
        suited = (rate for (name, value), rate in others if options.get(name) == value)
        return next(suited, self.default_learning_rate)

    def is_mergeable(self, config: Any) -> bool:
        """Whether an adapter with this config can be merged into the weights."""
        return self.mergeable

    def make_config(
        self, task_type: str | None = None, target_modules: Any = None, **options: Any
    ) -> Any:
        """A PEFT config of this method.

        Raises:
            ValueError: For an unknown option, with the nearest name, or a value outside its limits.
        """
        placement = {k: options.pop(k) for k in list(options) if k in self._placement()}
        self._check_options(options)
        return self.config_class(
            task_type=task_type,
            target_modules=target_modules,
            **placement,
            **self.config_options(options),
        )

    def check(
        self, options: Mapping[str, Any], sizes: Iterable[tuple[int, int]] | None = None
    ) -> None:
        """Refuse everything that can be refused before a weight is loaded.

        Args:
            options: As for `make_config`.
            sizes: (in_features, out_features) of the layers that will be adapted, if known.

        Raises:
            ValueError: With one sentence.
        """
        for name in options:
            if name in NOTES:
                raise Refusal(
                    f"{name} is no setting of method {self.name!r}: PEFT writes it itself, leave it out"
                )
        config = self.make_config(**options)
        self.check_sizes(config, sorted(set(sizes or ())))

    def _placement(self) -> set[str]:
        fields = {field.name for field in dataclasses.fields(self.config_class)}
        return fields.intersection(PLACEMENT)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        known = self.settings()
        for name, value in options.items():
            if name not in known:
                close = nearest(name, known)
                hint = f": did you mean {close!r}?" if close else "."
                raise Refusal(
                    f"method {self.name!r} has no setting {name!r}{hint} Known: {', '.join(known)}"
                )
            known[name].check(value)

    def __repr__(self) -> str:
        return f"<method {self.name}: {self.summary}>"
