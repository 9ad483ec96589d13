"""Options of PEFT's LoRA at our methods: accepted names and refused options."""

import dataclasses
import functools
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from peft import LoraConfig, PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import register_peft_method

from qtha_lab.adapters.change import Change, Layer
from qtha_lab.adapters.method import NOTES, PLACEMENT, Control, Method
from qtha_lab.adapters.peft.config import AdapterConfig, RankConfig, declared_settings, saved_type
from qtha_lab.adapters.peft.experts import WRAPPER, ExpertLayer
from qtha_lab.adapters.peft.layer import AdapterLayer
from qtha_lab.adapters.peft.model import AdapterModel
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import METHOD_STYLES, MethodStyle, check_method_style
from qtha_lab.core.patches import extend_peft_types
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import Setting
from qtha_lab.core.settings_help import with_arguments

NAMES = {"lora_alpha": "alpha", "lora_dropout": "dropout", "init_lora_weights": "init_weights"}
"""Our names of LoRA's settings."""

USE_LORA = "Use PEFT's LoraConfig."
EXPERTS = "target_parameters"
REMEDIES = {
    EXPERTS: "Use a linear method, or PEFT's LoraConfig, for experts that are parameters.",
    "trainable_token_indices": "Use modules_to_save with the embedding, or PEFT's LoraConfig.",
    "layer_replication": "Replicate the layers of the model first, or use PEFT's LoraConfig.",
    "ensure_weight_tying": "Name one of the tied modules only, or use PEFT's LoraConfig.",
    "use_dora": "Use the method dora.",
    "fan_in_fan_out": "Remove it: the layout of a layer is read from the layer.",
    "loftq_config": "Use the quantisation scheme of the run, or PEFT's LoraConfig.",
}
WITHOUT_COUNTERPART = {
    name: default
    for name, default in vars(LoraConfig()).items()
    if name not in {*RankConfig.__dataclass_fields__, *PLACEMENT, *NAMES, "r"} - {EXPERTS}
}
"""Options of LoRA that only a method which declares them has, and their defaults."""


def with_our_names(options: Mapping[str, Any], known: Mapping[str, Any] | set[str]) -> dict:
    """Return options under our names, and refuse those of LoRA without a counterpart.

    Raises:
        Refusal: With the remedy.

    Example:
        >>> with_our_names({"r": 4, "lora_alpha": 8}, {"r", "alpha"})
        {'r': 4, 'alpha': 8}
        >>> with_our_names({"target_parameters": ["gate_up_proj"]}, {"r"})
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: target_parameters must be empty for this method, got ...
    """
    named: dict[str, Any] = {}
    for name, value in options.items():
        if name in WITHOUT_COUNTERPART and name not in known:
            if value and value != WITHOUT_COUNTERPART[name]:
                remedy = REMEDIES.get(name, USE_LORA)
                raise Refusal(f"{name} must be empty for this method, got {value!r:.80}. {remedy}")
            continue
        ours = NAMES.get(name, name)
        if name in known or ours not in known:
            ours = name
        if ours in named or (ours != name and ours in options):
            raise Refusal(f"{ours} must be set once, got {name} beside it.")
        named[ours] = value
    return named


def accept_lora_names(config_class: type) -> None:
    """Make a config class accept the names of `NAMES`, and refuse options without a counterpart."""
    initialise = config_class.__init__
    if hasattr(initialise, "__wrapped__"):
        return

    @functools.wraps(initialise)
    def renamed(self, *values: Any, **options: Any) -> None:
        known = set(config_class.__dataclass_fields__)
        initialise(self, *values, **with_our_names(options, known))

    config_class.__init__ = renamed


# PEFT's types before ours are added; DoRA is a setting of PEFT's LoRA.
PEFTS_OWN = frozenset(PeftType.__members__) | {"DORA"}
MODULE = "qtha_lab.adapters.peft"  # module in which pickle finds the generated classes
OUR_METHODS: Registry["OurMethod"] = Registry(
    "method", "qtha_lab.adapters", group="qtha_lab.methods"
)


@dataclasses.dataclass(repr=False)
class OurMethod(Method):
    """Method of ours, registered with PEFT."""

    name: str
    config_class: type[AdapterConfig]
    summary: str
    equation: str
    source: str
    default_learning_rate: float
    examples: Mapping[str, Mapping[str, Any]]
    other_learning_rates: Mapping[tuple[str, Any], float] = dataclasses.field(default_factory=dict)
    style: MethodStyle | None = None
    controls: tuple[Control, ...] = ()
    compare_with_lora: bool = False
    ours: bool = True

    @property
    def size_settings(self) -> tuple[str, ...]:
        return tuple(name for name in self.config_class.sized_by if name in self.settings())

    def settings(self) -> dict[str, Setting]:
        declared = declared_settings(self.config_class)
        options = {name: s for name, s in declared.items() if name not in PLACEMENT}
        for name in ("use_rslora", "dropout"):  # last
            if name in options:
                options[name] = options.pop(name)
        return options

    def named(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return with_our_names(options, self.settings())

    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return dict(options)

    def check_sizes(self, config: AdapterConfig, sizes: Iterable[tuple[int, int]]) -> None:
        sizes = tuple(sizes)
        for index, size in enumerate(sizes):
            config.change(Layer(*size, index=index, sizes=sizes)).all_tensors()

    def owns(self, config: Any) -> bool:
        return type(config) is self.config_class

    def is_linear(self, config: AdapterConfig) -> bool:
        return self.config_class.change_class.is_linear(config)


def method(
    name: str,
    config_class: type[AdapterConfig],
    *,
    summary: str,
    equation: str,
    source: str,
    default_learning_rate: float,
    examples: Mapping[str, Mapping[str, Any]] | None = None,
    other_learning_rates: Mapping[tuple[str, Any], float] | None = None,
    style: MethodStyle | None = None,
    controls: Iterable[Control] = (),
    compare_with_lora: bool = False,
):
    """Register a `Change` class as a method, and with PEFT as a tuner.

    Args:
        name: Name in lower case; also the PEFT type and the prefix of the tensors.
        config_class: Config class with the settings.
        summary: One sentence for lists.
        equation: Change of a layer's output or weight, in one line.
        source: Paper or code of the method.
        default_learning_rate: Default learning rate.
        other_learning_rates: Default learning rates for values of options, by (option, value).
        examples: Small configs by name that cover the variants; the contract tests run them.
        style: Colour, dash and symbol in figures; None derives them from the name.
        controls: Classical controls that `name+controls` adds to a list of methods.
        compare_with_lora: Whether `all` adds LoRA of equal r and of equal size.

    Returns:
        A decorator of the `Change` class.

    Raises:
        Refusal: If name or plot style are invalid, a text is empty, another file or PEFT uses the
            name, or another method uses the config class.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise Refusal(f"name must be lower-case letters, digits and _, got {name!r}.")
    if name.upper() in PEFTS_OWN:
        raise Refusal(
            f"name must be none of PEFT's own methods, got {name!r}. Choose another name, such as "
            f"'my_{name}'."
        )
    for part, text in (("summary", summary), ("equation", equation), ("source", source)):
        if not text.strip():
            raise Refusal(f"The {part} of method {name!r} must not be empty. Write it in a line.")
    if style is not None:
        check_method_style(name, style)
    if (other := vars(config_class).get("method_name", name)) != name:
        raise Refusal(
            f"config_class must belong to one method, got that of {other!r} for {name!r}. Derive a "
            "class from it."
        )

    def register(change_class: type[Change]) -> type[Change]:
        config_class.method_name = name
        config_class.change_class = change_class
        accept_lora_names(config_class)
        with_arguments(config_class, without=NOTES)
        entry = OurMethod(
            name,
            config_class,
            summary,
            equation,
            source,
            default_learning_rate,
            examples or {"default": {}},
            other_learning_rates or {},
            style,
            tuple(controls),
            compare_with_lora,
        )
        OUR_METHODS.add(name, entry, change_class.__module__)
        if style is not None:
            METHOD_STYLES.add(name, style, change_class.__module__)
        register_with_peft(name, config_class)
        return change_class

    return register


def register_with_peft(name: str, config_class: type[AdapterConfig]) -> None:
    """Add the type to PEFT's enumeration, and register a tuner for it."""
    kind = extend_peft_types(name)
    names: dict[str, type] = PEFT_TYPE_TO_CONFIG_MAPPING  # pyright: ignore[reportAssignmentType]
    names[saved_type(name)] = config_class  # as saved configs name the type
    if kind in PEFT_TYPE_TO_CONFIG_MAPPING:  # a new version of a plugin; the tuner needs no change
        PEFT_TYPE_TO_CONFIG_MAPPING[kind] = config_class
        return
    prefix, title = f"{name}_", name.title().replace("_", "")
    # "Linear" in the name: PEFT recognises already adapted layers for "all-linear" by it.
    layer_class = type(f"{title}Linear", (AdapterLayer,), {"prefix": prefix, "__module__": MODULE})
    expert_class = type(WRAPPER, (ExpertLayer, layer_class), {"__module__": MODULE})
    expert_class.__qualname__ = f"{layer_class.__name__}.{WRAPPER}"
    setattr(layer_class, WRAPPER, expert_class)
    model_class = type(
        f"{title}Model",
        (AdapterModel,),
        {"prefix": prefix, "tuner_layer_cls": layer_class, "__module__": MODULE},
    )
    for tuner_class in (layer_class, model_class):  # for pickle
        setattr(sys.modules[MODULE], tuner_class.__name__, tuner_class)
    register_peft_method(name=name, config_cls=config_class, model_cls=model_class, prefix=prefix)
