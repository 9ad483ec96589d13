"""Everything PEFT needs to treat one of our methods as one of its own tuners.

Holds no mathematics: a method file gives tensors, their start and `delta`; this file makes a
config base, a tuner layer and a tuner model of them and registers all three with PEFT.

Trained tensors live in one flat `nn.ParameterDict` a name, frozen ones in a dictionary of buffers, keyed
by adapter name: nested modules would lose their weights in transformers' own `model.load_adapter`.
"""

# ruff: noqa: RUF009  `setting(...)` makes a dataclass field
import contextlib
import dataclasses
import functools
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from peft import PeftConfig, PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners._buffer_dict import BufferDict
from peft.tuners.tuners_utils import (
    BaseTuner,
    BaseTunerLayer,
    _get_in_out_features,
    check_adapters_to_merge,
)
from peft.utils import (
    TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
    get_quantization_kwargs,
    register_peft_method,
    resolve_quantization_backend,
)
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from qtha_lab import __version__
from qtha_lab.adapters.method import PLACEMENT, Change, Layer, Method
from qtha_lab.errors import Refusal, Unsupported
from qtha_lab.registry import Registry
from qtha_lab.settings import Setting, setting, settings_of

OUR_METHODS: Registry["OurMethod"] = Registry(
    "method", "qtha_lab.adapters", group="qtha_lab.methods"
)


@dataclasses.dataclass
class AdapterConfig(PeftConfig):
    """PEFT's common fields, for every method of ours; a method's config adds its own settings."""

    target_modules: list[str] | str | None = setting(
        None, "Names of the modules to adapt (endings or one regular expression), or 'all-linear'."
    )
    exclude_modules: list[str] | str | None = setting(None, "Names of modules to leave alone.")
    layers_to_transform: list[int] | int | None = setting(None, "Only adapt these layer indices.")
    layers_pattern: list[str] | str | None = setting(
        None, "Name of the list of layers, where it is not the usual one."
    )
    modules_to_save: list[str] | None = setting(
        None, "Other modules to train whole and save, such as a new classification head."
    )
    bias: str = setting("none", "Biases to train: 'none', 'all' or those of adapted layers.")
    init_weights: bool = setting(
        True, "Start with no change; False draws every tensor away from zero, for tests."
    )
    qtha_lab_version: str | None = setting(None, "Version of qtha-lab that made the config.")
    dropout: float = setting(0.0, "Dropout on the adapter's input while training.", ge=0, le=0.95)

    method_name: ClassVar[str]
    change_class: ClassVar[type[Change]]

    def __post_init__(self):
        super().__post_init__()
        self.peft_type = PeftType[self.method_name.upper()]
        self.qtha_lab_version = self.qtha_lab_version or __version__
        for name, declared in _settings_of(type(self)).items():
            declared.check(getattr(self, name))
        only = f"{self.method_name}_only"
        if self.bias not in ("none", "all", only):
            raise Refusal(f"bias must be one of none, all, {only}, not {self.bias!r}")
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if isinstance(self.exclude_modules, list):
            self.exclude_modules = set(self.exclude_modules)
        if isinstance(self.target_modules, str) and self.target_modules != "all-linear":
            for name in ("layers_to_transform", "layers_pattern"):
                if getattr(self, name) is not None:
                    raise Refusal(f"{name} cannot be used when target_modules is a pattern")
        if self.layers_pattern and self.layers_to_transform is None:
            raise Refusal("layers_pattern needs layers_to_transform")

    def change(self, layer: Layer) -> Change:
        """The mathematics of this config at a layer."""
        return self.change_class(self, layer)

    def n_parameters(self, in_features: int, out_features: int) -> int:
        """Trainable parameters at one layer of this size, by the method's formula."""
        return self.change(Layer(in_features, out_features)).n_parameters()


@functools.cache
def _settings_of(config_class: type) -> dict[str, Setting]:
    return settings_of(config_class)


class AdapterLayer(nn.Module, BaseTunerLayer):
    """A linear layer with adapters of one method of ours beside it."""

    prefix: ClassVar[str]
    other_param_names: tuple[str, ...] = ("changes", "dropouts", "factors")

    def __init__(self, base_layer: nn.Module, adapter_name: str, config, layer: Layer, **quantised):
        super().__init__()
        self.base_layer = base_layer
        self.quantization_backend = resolve_quantization_backend(self.get_base_layer(), **quantised)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.adapter_layer_names = ()
        self.tensor_names: dict[str, str] = {}  # of what holds them, by the attribute's name
        self.changes: dict[str, Change] = {}
        self.dropouts: dict[str, float] = {}
        self.factors: dict[str, float] = {}  # of the changes, 1 unless weighed; never saved
        self._disable_adapters = False
        self.merged_adapters = []
        self._weight_before: Tensor | None = None  # while adapters are merged
        self._active_adapter = adapter_name
        self.train(base_layer.training)
        self.update_layer(adapter_name, config, layer)

    def update_layer(self, adapter_name: str, config: AdapterConfig, layer: Layer) -> None:
        """Add an adapter (or replace the one of that name) with freshly drawn tensors."""
        if adapter_name in self.prefix or "." in adapter_name:
            raise Refusal(
                f"adapter name {adapter_name!r} would be confused with the tensor names "
                f"'{self.prefix}…': choose a name without a dot that is no part of {self.prefix!r}"
            )
        change = config.change(layer)
        for held in self._holders(adapter_name).values():
            del held[adapter_name]
        device, dtype = self._home()
        for name, spec in change.tensors().items():
            start = torch.empty(
                spec.shape, dtype=dtype, device="meta" if device.type == "meta" else "cpu"
            )
            held = self._held(name, spec.trainable)
            held[adapter_name] = nn.Parameter(start) if spec.trainable else start
        self.changes[adapter_name] = change
        self.dropouts[adapter_name] = config.dropout
        self.factors[adapter_name] = 1.0
        tensors = self.adapter_tensors(adapter_name)
        if not any(tensor.is_meta for tensor in tensors.values()):
            with torch.no_grad():
                change.initialise(tensors)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def _held(self, name: str, trainable: bool) -> nn.ParameterDict | BufferDict:
        """Where the tensors of that name are, one an adapter; made when first asked for."""
        attribute = f"{self.prefix}{'' if trainable else 'frozen_'}{name}"
        if attribute not in self._modules:
            setattr(self, attribute, nn.ParameterDict() if trainable else BufferDict(None, True))
            self.tensor_names[attribute] = name
            kind = "adapter_layer_names" if trainable else "other_param_names"
            setattr(self, kind, (*getattr(self, kind), attribute))
        return self._modules[attribute]

    def _holders(self, adapter_name: str) -> dict[str, nn.ParameterDict | BufferDict]:
        """Where an adapter's tensors are, by the names its method gave them."""
        held = ((name, self._modules[attribute]) for attribute, name in self.tensor_names.items())
        return {name: holder for name, holder in held if adapter_name in holder}

    def adapter_tensors(self, adapter_name: str) -> dict[str, Tensor]:
        """The tensors of an adapter by the names its method gave them."""
        return {name: held[adapter_name] for name, held in self._holders(adapter_name).items()}

    def set_scale(self, adapter: str, scale: float) -> None:
        """Multiply an adapter's change by a factor (not on top of an earlier one), as LoRA's does."""
        if adapter in self.factors:
            self.factors[adapter] = float(scale)

    def cast_adapter(self, adapter_name: str, dtype: torch.dtype) -> None:
        """Keep an adapter's tensors in another precision."""
        for held in self._holders(adapter_name).values():
            old = held[adapter_name]
            new = old.detach().to(dtype)
            trained = isinstance(old, nn.Parameter)
            held[adapter_name] = nn.Parameter(new, old.requires_grad) if trained else new

    def _home(self) -> tuple[torch.device, torch.dtype]:
        """Device of the base weight; float64 where it is float64, else the float32 island."""
        device, dtype = self._get_base_layer_device_and_dtype(self.get_base_layer())
        return device or torch.device("cpu"), _island(dtype)

    def _move_adapter_to_device_of_base_layer(self, adapter_name, device=None) -> None:
        """Move to the base layer's device; unlike PEFT's, never down to its half precision."""
        home = device or self._home()[0]
        for held in self._holders(adapter_name).values():
            if not held[adapter_name].is_meta:
                held[adapter_name] = held[adapter_name].to(home)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._disable_adapters and self.merged_adapters:
            self.unmerge()
        result = self.base_layer(x, *args, **kwargs)
        if self._disable_adapters or self.merged_adapters:
            return result
        active = [name for name in self.active_adapters if name in self.changes]
        return (result + self._change(x, active)).to(result.dtype) if active else result

    def _change(self, x: Tensor, active: list[str]) -> Tensor:
        """The sum of the active adapters' changes, computed in float32 with autocast off."""
        with _no_autocast(x.device.type):
            total = None
            for name in active:
                tensors = self.adapter_tensors(name)
                dtype = _island(x.dtype, *(tensor.dtype for tensor in tensors.values()))
                x = x if x.dtype == dtype else x.to(dtype)
                tensors = {k: t if t.dtype == dtype else t.to(dtype) for k, t in tensors.items()}
                rate = self.dropouts[name]
                dropped = nn.functional.dropout(x, rate) if rate and self.training else x
                delta = self._weighed(name, self.changes[name].delta(tensors, dropped))
                total = delta if total is None else total + delta
            return total

    def _weighed(self, name: str, change: Tensor) -> Tensor:
        return change if self.factors[name] == 1 else change * self.factors[name]

    @torch.no_grad()
    def delta_weight(self, adapter: str) -> Tensor:
        """The change of weight of a linear adapter, times its factor, (out_features, in_features)."""
        self._refuse_unless_linear(adapter)
        tensors = self.adapter_tensors(adapter)
        dtype = _island(*(tensor.dtype for tensor in tensors.values()))
        with _no_autocast(self._home()[0].type):
            tensors = {k: t.to(dtype) for k, t in tensors.items()}
            return self._weighed(adapter, self.changes[adapter].delta_weight(tensors))

    def get_delta_weight(self, adapter: str) -> Tensor:
        """PEFT's name for the change of weight, laid out as the base weight is."""
        change = self.delta_weight(adapter)
        return change.mT if isinstance(self.get_base_layer(), Conv1D) else change

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        change = self.changes.get(adapter_name)
        return change is not None and change.is_linear(change.config)

    def _refuse_unless_linear(self, adapter: str) -> None:
        change = self.changes[adapter]
        if not change.is_linear(change.config):
            raise Unsupported(
                f"adapter {adapter!r} cannot be merged: {change.not_mergeable(change.config)}"
            )

    def _refuse_if_quantised(self) -> None:
        base = self.get_base_layer()
        kind = quantised_kind(base)
        if kind is not None:
            raise Unsupported(
                f"the base weight is quantised ({kind}), and a sum would be rounded to it again, so "
                "merging would not be exact. Keep the adapter beside the model (save_pretrained), or "
                "load the base without quantisation, put the adapter on it and merge there"
            )

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add linear adapters into the base weight, which is kept to be put back by `unmerge`.

        Raises:
            Unsupported: If an adapter's change is not one matrix; says what to do instead.
            ValueError: If `safe_merge` finds values that are not finite.
        """
        wanted = check_adapters_to_merge(self, adapter_names)
        wanted = [name for name in wanted if name in self.changes]
        for name in wanted:
            self._refuse_unless_linear(name)
        if wanted:
            self._refuse_if_quantised()
        for name in wanted:
            weight = self.get_base_weight()
            merged = (weight + self.get_delta_weight(name)).to(weight.dtype)
            if safe_merge and not torch.isfinite(merged).all():
                raise Refusal(
                    f"NaNs detected in the merged weights. The adapter {name} seems to be broken: it would "
                    f"make the weights of {self.changes[name].layer.name!r} infinite or not a number, so "
                    "it was not merged"
                )
            if not self.merged_adapters:
                self._weight_before = weight  # a tensor of its own: merging makes a new one
            self.set_base_weight(merged)
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Put the base weight back, bit by bit as it was before `merge`."""
        if not self.merged:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
            return
        weight = self.get_base_weight()
        self.set_base_weight(self._weight_before.to(weight.device, weight.dtype))
        self._weight_before = None
        self.merged_adapters.clear()

    def __repr__(self) -> str:
        return self.prefix.rstrip("_") + "." + super().__repr__()


def _island(*dtypes: torch.dtype | None) -> torch.dtype:
    """The precision adapters compute in: float64 if any input is, else float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def _no_autocast(device_type: str):
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()


class AdapterModel(BaseTuner):
    """A model whose chosen linear layers carry adapters of one method of ours."""

    target_module_mapping = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    def _prepare_model(self, peft_config: AdapterConfig, model: nn.Module) -> None:
        blocks = [block_of(name) for name, _ in model.named_modules()]
        self._n_blocks = max((b for b in blocks if b is not None), default=-1) + 1

    def _create_and_replace(
        self, peft_config, adapter_name, target, target_name, parent, current_key, **_
    ) -> None:
        base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
        layer = Layer(
            *layer_sizes(base, current_key), current_key, block_of(current_key), self._n_blocks
        )
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config, layer)
            return
        quantised = get_quantization_kwargs(self)
        new = self.tuner_layer_cls(target, adapter_name, peft_config, layer, **quantised)
        if adapter_name not in self.active_adapters:
            new.requires_grad_(False)
        self._replace_module(parent, target_name, new, target)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Ours are float32 over a base in half precision, unless a person asks for the base's."""
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        if autocast_adapter_dtype:
            return
        for module in self.model.modules():
            if isinstance(module, self.tuner_layer_cls) and adapter_name in module.changes:
                _, dtype = module._get_base_layer_device_and_dtype(module.get_base_layer())
                module.cast_adapter(adapter_name, dtype or torch.float32)

    @contextlib.contextmanager
    def _enable_peft_forward_hooks(self, *args, **kwargs):
        if kwargs.get("adapter_names") is not None:
            raise Unsupported(
                f"a batch cannot mix {self.prefix.rstrip('_')} adapters by adapter_names: "
                "call set_adapter and run one batch for each adapter"
            )
        yield


def layer_sizes(module: nn.Module, name: str = "") -> tuple[int, int]:
    """(in_features, out_features) of a layer our methods adapt.

    Raises:
        ValueError: If the layer is of another kind.
    """
    quantised = not isinstance(module, nn.Linear | Conv1D) and resolve_quantization_backend(module)
    fits = isinstance(module, nn.Linear | Conv1D) or (
        quantised and quantised.layer_type == "linear"
    )
    if not fits or isinstance(module, NonDynamicallyQuantizableLinear):
        raise Refusal(
            f"target module {name!r} is a {type(module).__name__}; "
            "only linear layers (nn.Linear, Conv1D) can be adapted"
        )
    return _get_in_out_features(module)


def quantised_kind(layer: nn.Module) -> str | None:
    """The name of the format a layer's weight is kept in, None for plain numbers."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return type(layer).__name__
    plain = type(weight) in (nn.Parameter, Tensor) and weight.is_floating_point()
    return None if plain else type(weight).__name__


def block_of(name: str) -> int | None:
    """The index of the transformer block in a module's name: 3 in `model.layers.3.q_proj`."""
    found = re.search(r"\.(\d+)\.", name)
    return int(found[1]) if found else None


@dataclasses.dataclass(repr=False)
class OurMethod(Method):
    """A method of ours, registered with PEFT."""

    name: str
    config_class: type[AdapterConfig]
    summary: str
    equation: str
    source: str
    default_learning_rate: float
    mergeable: bool
    examples: Mapping[str, Mapping[str, Any]]
    other_learning_rates: Mapping[tuple[str, Any], float] = dataclasses.field(default_factory=dict)
    ours: bool = True

    def settings(self) -> dict[str, Setting]:
        declared = _settings_of(self.config_class)
        own = {name: s for name, s in declared.items() if name not in PLACEMENT}
        if "dropout" in own:
            own["dropout"] = own.pop("dropout")
        return own

    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return dict(options)

    def check_sizes(self, config: AdapterConfig, sizes: Iterable[tuple[int, int]]) -> None:
        for in_features, out_features in sizes:
            config.change(Layer(in_features, out_features)).tensors()

    def owns(self, config: Any) -> bool:
        return type(config) is self.config_class

    def is_mergeable(self, config: AdapterConfig) -> bool:
        return self.config_class.change_class.is_linear(config)


def method(
    name: str,
    config_class: type[AdapterConfig],
    *,
    summary: str,
    equation: str,
    source: str,
    default_learning_rate: float,
    mergeable: bool = True,
    examples: Mapping[str, Mapping[str, Any]] | None = None,
    other_learning_rates: Mapping[tuple[str, Any], float] | None = None,
):
    """Register the mathematics below as a method: with us by name, with PEFT as a tuner.

    Args:
        name: Lower case; also the name of the PEFT type and the prefix of its tensors.
        config_class: Its settings.
        summary: One sentence for lists.
        equation: What is added to the output of a layer, or to its weight, in one line.
        source: Paper or code it is from.
        default_learning_rate: Where to start when nothing is known.
        mergeable: Whether every config of it is linear in the layer's input.
        other_learning_rates: The same where an option has a value, by (option, value).
        examples: Small configs, by name, that show each of its forms; the contract tests run them.
    """

    def register(change_class: type[Change]) -> type[Change]:
        config_class.method_name = name
        config_class.change_class = change_class
        entry = OurMethod(
            name,
            config_class,
            summary,
            equation,
            source,
            default_learning_rate,
            mergeable,
            examples or {"default": {}},
            other_learning_rates or {},
        )
        OUR_METHODS.add(name, entry, change_class.__module__)
        _register_with_peft(name, config_class)
        return change_class

    return register


def _register_with_peft(name: str, config_class: type[AdapterConfig]) -> None:
    """Add the type to PEFT's closed list, then the tuner made for it."""
    kind = _extend_peft_types(name)
    if (
        kind in PEFT_TYPE_TO_CONFIG_MAPPING
    ):  # the next version of a plugin; the tuner holds no mathematics
        PEFT_TYPE_TO_CONFIG_MAPPING[kind] = config_class
        return
    prefix, title = f"{name}_", name.title().replace("_", "")
    # "Linear" in the name: PEFT recognises already adapted layers for "all-linear" by it.
    layer_class = type(
        f"{title}Linear", (AdapterLayer,), {"prefix": prefix, "__module__": __name__}
    )
    model_class = type(
        f"{title}Model",
        (AdapterModel,),
        {"prefix": prefix, "tuner_layer_cls": layer_class, "__module__": __name__},
    )
    for made in (layer_class, model_class):
        setattr(sys.modules[__name__], made.__name__, made)
    register_peft_method(name=name, config_cls=config_class, model_cls=model_class, prefix=prefix)


def _extend_peft_types(name: str) -> PeftType:
    """The `PeftType` of that name, added to the enumeration if it is not there."""
    key = name.upper()
    if key in PeftType.__members__:
        return PeftType[key]
    member = str.__new__(PeftType, key)
    member._name_, member._value_ = key, key
    member.__objclass__ = PeftType
    member._sort_order_ = len(PeftType._member_names_)
    setattr(PeftType, key, member)
    PeftType._member_names_.append(key)
    PeftType._member_map_[key] = member
    PeftType._value2member_map_[key] = member
    if hasattr(PeftType, "_hashable_values_"):
        PeftType._hashable_values_.append(key)
    return member
