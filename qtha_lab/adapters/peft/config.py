"""Config base of our methods, with PEFT's common fields and ours.

A method's own file adds its settings.
"""

import dataclasses
import functools
import importlib
import json
import logging
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from jaxtyping import Float
from peft import PeftConfig, PeftType
from peft.tuners.tuners_utils import _get_in_out_features
from peft.utils import resolve_quantization_backend
from peft.utils.other import get_pattern_key
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from qtha_lab import __version__
from qtha_lab.adapters.change import Change, Layer, n_trained
from qtha_lab.adapters.method import all_linear_or
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json, write_atomically
from qtha_lab.core.patches import after_trainer_card
from qtha_lab.core.settings import Setting, setting, settings_of

# ruff: noqa: RUF009  `setting(...)` makes a dataclass field


CONFIG_FILE = "adapter_config.json"
CARDS = "qtha_lab.models.model_card"  # above this package, imported when an adapter is saved
log = logging.getLogger(__name__)


def saved_type(name: str) -> str:
    """Return the `peft_type` in saved configs, which PEFT's error quotes without qtha-lab.

    Example:
        >>> saved_type("qtha")
        'QTHA (pip install qtha-lab, import qtha_lab)'
    """
    return f"{name.upper()} (pip install qtha-lab, import qtha_lab)"


@dataclasses.dataclass
class AdapterConfig(PeftConfig):
    """PEFT's common fields for all our methods; each method adds its own settings."""

    target_modules: list[str] | set[str] | str | None = setting(
        None, "Names of the modules to adapt (endings or one regular expression), or 'all-linear'."
    )
    exclude_modules: list[str] | set[str] | str | None = setting(
        None, "Names of modules that are not adapted."
    )
    target_parameters: list[str] | None = setting(
        None, "Names of stacked matrices of routed experts to adapt, for linear methods."
    )
    layers_to_transform: list[int] | int | None = setting(None, "Only adapt these layer indices.")
    layers_pattern: list[str] | str | None = setting(
        None, "Name of the list of layers, where it is not the usual one."
    )
    modules_to_save: list[str] | None = setting(
        None, "Other modules to train whole and save, such as a new classification head."
    )
    bias: str = setting("none", "Biases to train: 'none', 'all' or those of adapted layers.")
    init_weights: bool = setting(
        True,
        "Initialise without a change of the output; False draws all tensors at random, for tests.",
    )
    qtha_lab_version: str | None = setting(None, "Version of qtha-lab that made the config.")
    dropout: float = setting(0.0, "Dropout on the adapter's input while training.", ge=0, le=0.95)

    method_name: ClassVar[str]
    change_class: ClassVar[type[Change]]
    sized_by: ClassVar[tuple[str, ...]] = ("r",)  # settings that determine the parameter count

    def __post_init__(self):
        super().__post_init__()
        self.peft_type = PeftType[self.method_name.upper()]
        self.qtha_lab_version = self.qtha_lab_version or __version__
        for name, declared in declared_settings(type(self)).items():
            declared.check(getattr(self, name))
        only = f"{self.method_name}_only"
        if self.bias == "lora_only":  # as LoRA calls it
            self.bias = only
        if self.bias not in ("none", "all", only):
            raise Refusal(f"bias must be one of none, all, {only}, got {self.bias!r}.")
        self.target_modules = all_linear_or(self.target_modules)
        if self.target_parameters:
            self._check_experts()
            self.target_modules = self.target_modules or set()
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if isinstance(self.exclude_modules, list):
            self.exclude_modules = set(self.exclude_modules)
        if isinstance(self.target_modules, str) and self.target_modules != "all-linear":
            for name in ("layers_to_transform", "layers_pattern"):
                if getattr(self, name) is not None:
                    raise Refusal(
                        f"{name} must be empty beside a pattern in target_modules, got "
                        f"{getattr(self, name)!r}."
                    )
        if self.layers_pattern and self.layers_to_transform is None:
            raise Refusal("layers_pattern cannot be used without layers_to_transform.")

    def _check_experts(self) -> None:
        if not self.change_class.is_linear(self) or self.dropout:
            raise Refusal(
                "target_parameters must be empty for this method, got "
                f"{self.target_parameters!r:.80}. Use a linear method without dropout, or PEFT's "
                "LoraConfig, for experts that are parameters."
            )

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """Save the config under a type that names this package, and write the model card.

        A card that somebody wrote stays.
        """
        super().save_pretrained(save_directory, **kwargs)
        file = Path(save_directory) / CONFIG_FILE
        saved = read_json(file) | {"peft_type": saved_type(self.method_name)}
        write_atomically(file, json.dumps(saved, indent=2, sort_keys=True))
        try:
            cards = importlib.import_module(CARDS)
        except ImportError as reason:  # tuners and simulators alone
            log.info("PEFT's model card stays: %s", reason)
            return
        cards.replace_template(Path(save_directory), self)
        after_trainer_card(lambda trainer: _renew_card(trainer, cards.replace_template))

    def at(self, layer_name: str) -> Self:
        """Return the settings at one layer."""
        return self

    @property
    def is_open(self) -> bool:
        """True if settings are open that `sized_for` chooses; False for most methods."""
        return False

    def sized_for(self, sizes: Sequence[tuple[int, int]]) -> Self:
        """Return the config with its open settings chosen for a model."""
        return self

    def change(self, layer: Layer) -> Change:
        """Build the `Change` of this config at a layer."""
        return self.change_class(self.sized_for(layer.sizes).at(layer.name), layer)

    def check_base(self, bits: int | None) -> None:
        """Refuse a base quantisation that the method does not support; most accept all."""

    def n_parameters(self, in_features: int, out_features: int) -> int:
        """Count trainable parameters at one layer of this size, by the method's formula."""
        return self.n_parameters_of([Layer(in_features, out_features)])

    def n_parameters_of(self, layers: Sequence[Layer]) -> int:
        """Count trainable parameters at several layers, by the method's formula.

        Shared tensors count once.
        """
        changes = [self.change(layer) for layer in layers]
        shared = {name: s for change in changes for name, s in change.shared_tensors().items()}
        return sum(change.n_parameters() for change in changes) + n_trained(shared.values())


def _renew_card(trainer: Any, replace: Callable[[Path, PeftConfig], None]) -> None:
    """Replace the model card that a trainer wrote for an adapter of our methods."""
    configs = getattr(trainer.model, "peft_config", {}).values()
    ours = next((config for config in configs if isinstance(config, AdapterConfig)), None)
    if ours is not None and trainer.is_world_process_zero():
        replace(Path(trainer.args.output_dir), ours)


@dataclasses.dataclass
class RankConfig(AdapterConfig):
    """Common settings of methods with inner size r and scaling alpha, as in LoRA.

    A method's config declares r and alpha itself, with their limits.
    """

    rank_pattern: dict = setting(
        {}, "Other r by layer: the end of a module's name, or a regular expression for it."
    )
    alpha_pattern: dict = setting({}, "Other alpha by layer, as in rank_pattern.")
    use_rslora: bool = setting(
        False, "Scale by alpha / √r instead of alpha / r, which suits large r."
    )

    def __post_init__(self):
        super().__post_init__()
        for field, name in (("rank_pattern", "r"), ("alpha_pattern", "alpha")):
            pattern = getattr(self, field)
            if not isinstance(pattern, dict):
                raise Refusal(f"{field} must name layers and their {name}, got {pattern!r}.")
            declared = declared_settings(type(self))[name]
            for layer, value in pattern.items():
                dataclasses.replace(declared, name=f"{field}[{layer!r}]", optional=False).check(
                    value
                )

    def at(self, layer_name: str) -> Self:
        """Return the settings with the r and alpha of one layer."""
        if not (self.rank_pattern or self.alpha_pattern):
            return self
        patterns = {"r": self.rank_pattern, "alpha": self.alpha_pattern}
        values = {
            name: pattern.get(get_pattern_key(list(pattern), layer_name), getattr(self, name))
            for name, pattern in patterns.items()
        }
        return dataclasses.replace(self, **values, rank_pattern={}, alpha_pattern={})

    def scaling(self, alpha: float) -> float:
        """Compute the factor on the change: alpha / r, or alpha / √r."""
        r: int = getattr(self, "r")  # noqa: B009  declared by the method's config
        return alpha / (math.sqrt(r) if self.use_rslora else r)


@functools.cache
def declared_settings(config_class: type) -> dict[str, Setting]:
    """Return the settings of a config class, cached."""
    return settings_of(config_class)


LINEAR = (nn.Linear, Conv1D)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def layer_sizes(module: nn.Module, name: str = "") -> tuple[int, int]:
    """Return (in_features, out_features) of a layer; for a convolution, per patch."""
    if isinstance(module, CONVOLUTIONS):
        if module.groups != 1:
            raise Refusal(
                f"target_modules must name convolutions of one group, got {name!r}, a "
                f"{type(module).__name__} of {module.groups} groups."
            )
        return module.in_channels * math.prod(module.kernel_size), module.out_channels
    backend = None if isinstance(module, LINEAR) else resolve_quantization_backend(module)
    fits = isinstance(module, LINEAR) or (backend is not None and backend.layer_type == "linear")
    if fits and not isinstance(module, NonDynamicallyQuantizableLinear):
        in_features, out_features = _get_in_out_features(module)
        if in_features is not None and out_features is not None:
            return in_features, out_features
    raise Refusal(
        "target_modules must name linear layers (nn.Linear, Conv1D) or convolutions "
        f"(nn.Conv1d, nn.Conv2d), got {name!r}, a {type(module).__name__}."
    )


def as_matrix(weight: Tensor, layer: nn.Module) -> Float[Tensor, "out_features in_features"]:
    """Reshape a base weight to the matrix that multiplies an input or a patch."""
    if isinstance(layer, Conv1D):
        return weight.mT
    return weight.flatten(1) if isinstance(layer, CONVOLUTIONS) else weight


def as_weight(
    matrix: Float[Tensor, "out_features in_features"], layer: nn.Module
) -> Float[Tensor, "..."]:
    """Reshape a matrix to the layout of a layer's base weight."""
    if isinstance(layer, Conv1D):
        return matrix.mT
    if isinstance(layer, CONVOLUTIONS):
        return matrix.reshape(layer.weight.shape)
    return matrix


def inputs_of(x: Tensor, layer: nn.Module) -> Float[Tensor, "*batch in_features"]:
    """Return the rows that a layer's matrix multiplies: inputs, or a convolution's patches.

    A convolution is the linear map of its patches: y[:, p] = W · patch p. W is the kernel with
    channels and positions flattened, as in LoRA for convolutions. Padding, stride and dilation are
    those of the layer.
    """
    if not isinstance(layer, CONVOLUTIONS):
        return x
    n = len(layer.kernel_size)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = nn.functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    first = x.ndim - n  # first spatial axis; the channel axis precedes it
    steps = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    for axis, (kernel, stride, dilation) in enumerate(steps, first):
        x = x.unfold(axis, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
    return x.movedim(first - 1, first - 1 + n).flatten(-1 - n)


def outputs_of(y: Float[Tensor, "*batch out_features"], layer: nn.Module) -> Tensor:
    """Reshape rows to the layout of a layer's output."""
    if not isinstance(layer, CONVOLUTIONS):
        return y
    return y.movedim(-1, -1 - len(layer.kernel_size))


def output_rows(output: Tensor, layer: nn.Module) -> Float[Tensor, "*batch out_features"]:
    """Reshape a layer's output to rows, one per input or patch: the inverse of `outputs_of`."""
    if not isinstance(layer, CONVOLUTIONS):
        return output
    return output.movedim(-1 - len(layer.kernel_size), -1)


def quantised_kind(layer: nn.Module) -> str | None:
    """Return the format of a quantised weight; None for floating-point numbers."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return type(layer).__name__
    plain = type(weight) in (nn.Parameter, Tensor) and weight.is_floating_point()
    return None if plain else type(weight).__name__


def block_of(name: str) -> int | None:
    """Return the transformer block's index in a module name: 3 in `model.layers.3.q_proj`."""
    index = re.search(r"\.(\d+)\.", name)
    return int(index[1]) if index else None
