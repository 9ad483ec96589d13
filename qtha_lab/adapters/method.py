"""Interface of a method: name, settings, and the change of a layer's output.

The PEFT integration is in `peft`. Each of our methods is one file in this folder, such as:

    >>> from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting
    >>> @dataclasses.dataclass
    ... class BiasConfig(AdapterConfig):
    ...     scale: float = setting(1.0, "Factor on the bias.", gt=0)
    >>> @method(
    ...     "bias_example",
    ...     BiasConfig,
    ...     summary="A trained bias.",
    ...     equation="Δy = s·b",
    ...     source="an example of this project",
    ...     default_learning_rate=1e-3,
    ... )
    ... class Bias(Change):
    ...     def tensors(self):
    ...         return {"b": TensorSpec((self.layer.out_features,))}
    ...
    ...     def initialise(self, tensors):
    ...         tensors["b"].zero_()
    ...
    ...     @classmethod
    ...     def is_linear(cls, config):
    ...         return False  # it adds the same to every output, so no weight equals it
    ...
    ...     def delta(self, tensors, x):
    ...         return (self.config.scale * tensors["b"]).expand(*x.shape[:-1], -1)
    ...
    ...     def n_parameters(self):
    ...         return self.layer.out_features
    >>> BiasConfig(scale=2.0).n_parameters(64, 32)
    32
    >>> from qtha_lab.adapters.__init__ import OUR_METHODS
    >>> OUR_METHODS.forget(__name__)  # the example leaves no method behind
"""

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from peft import PeftConfig

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import Setting, unknown

# Fields that PEFT fills when it makes or saves an adapter; not for users.
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
# Placement of an adapter: set by name, never offered in a form.
PLACEMENT = (
    *NOTES,
    "target_modules",
    "target_parameters",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "bias",
    "init_weights",
    "rank_pattern",
    "alpha_pattern",
)
PATTERNS = ("layers_pattern", "rank_pattern", "alpha_pattern")


def all_linear_or(target_modules: Any) -> Any:
    """Return PEFT's "all-linear" for a list of that one name, and other targets unchanged."""
    is_list = isinstance(target_modules, list | tuple | set)
    return "all-linear" if is_list and [*target_modules] == ["all-linear"] else target_modules


def check_patterns(placement: Mapping[str, Any]) -> None:
    """Refuse an invalid regular expression in a setting that PEFT reads as a pattern.

    Example:
        >>> check_patterns({"layers_pattern": "("})
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: layers_pattern must be a regular expression, got '('.
    """
    for name in ("target_modules", "exclude_modules", *PATTERNS):
        value = placement.get(name)
        texts = [value] if isinstance(value, str) else value if name in PATTERNS else ()
        for text in texts or ():
            try:
                re.compile(str(text))
            except (re.error, RecursionError, OverflowError):
                raise Refusal(
                    f"{name} must be a regular expression, got {shortened(text)!r}."
                ) from None


@dataclasses.dataclass(frozen=True)
class Control:
    """Control of a method: the same method without its distinctive part.

    Args:
        title: Name in a few words.
        shows: Meaning of a difference to the control.
        options: Changed settings of the method.
        without: Settings to drop, since only the missing part reads them.
        method: Name of the method; `controls_of` sets it.
    """

    title: str
    shows: str
    options: Mapping[str, Any]
    without: tuple[str, ...] = ()
    method: str = ""


class Method(ABC):
    """Fine-tuning method, ours or PEFT's, with the settings of command line and forms."""

    name: str
    summary: str
    equation: str
    source: str
    ours: bool
    default_learning_rate: float
    other_learning_rates: Mapping[tuple[str, Any], float] = {}
    config_class: type
    style: MethodStyle | None = None
    controls: tuple[Control, ...] = ()
    compare_with_lora: bool = False  # lists add LoRA of equal r and of equal size
    sized_by: tuple[str, ...] = ("r",)  # settings that determine the parameter count

    @property
    def size_settings(self) -> tuple[str, ...]:
        """Settings that determine the parameter count; may be empty."""
        return tuple(name for name in self.sized_by if name in self.settings())

    @abstractmethod
    def settings(self) -> dict[str, Setting]:
        """Return the settings for forms and the command line, without the placement."""

    @abstractmethod
    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return keyword arguments of the config class for checked options."""

    @abstractmethod
    def check_sizes(self, config: Any, sizes: Iterable[tuple[int, int]]) -> None:
        """Refuse (in_features, out_features) that a config cannot adapt."""

    @abstractmethod
    def owns(self, config: Any) -> bool:
        """Return True if a PEFT config belongs to this method."""

    def learning_rate_of(self, options: Mapping[str, Any]) -> float:
        """Return the default learning rate for these options."""
        others = self.other_learning_rates.items()
        suited = (rate for (name, value), rate in others if options.get(name) == value)
        return next(suited, self.default_learning_rate)

    def start_rows(self, options: Mapping[str, Any]) -> int:
        """Return the number of training rows for the initialisation; 0 for most."""
        return 0

    def is_linear(self, config: Any) -> bool:
        """Return True if the change is one constant matrix, which can be merged."""
        return True

    def make_config(
        self, task_type: str | None = None, target_modules: Any = None, **options: Any
    ) -> Any:
        """Build a PEFT config of this method.

        Raises:
            Refusal: For an unknown option, with the nearest name, or a value outside its limits.
        """
        placement = {k: options.pop(k) for k in list(options) if k in self._placement()}
        target_modules = all_linear_or(target_modules)
        options = self.named(options)
        self._check_options(options)
        check_patterns({"target_modules": target_modules, **placement})
        try:
            return self.config_class(
                task_type=task_type,
                target_modules=target_modules,
                **placement,
                **self.config_options(options),
            )
        except Refusal:
            raise
        except ValueError as problem:  # of PEFT's config, about these options
            raise Refusal(f"Options of {self.name} must suit PEFT, got: {problem}") from None

    def check(
        self, options: Mapping[str, Any], sizes: Iterable[tuple[int, int]] | None = None
    ) -> None:
        """Refuse invalid options and sizes before a weight is loaded.

        Args:
            options: Options as for `make_config`.
            sizes: (in_features, out_features) of the adapted layers, if known.

        Raises:
            Refusal: For an option or a value that the method does not take, or sizes it cannot
                adapt.
        """
        for name in options:
            if name in NOTES:
                raise Refusal(
                    f"{name} must not be set for method {self.name!r}, because PEFT writes it."
                )
        config = self.make_config(**options)
        self.check_sizes(config, sorted(sizes or ()))

    def named(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options under the method's own names."""
        return dict(options)

    def _placement(self) -> set[str]:
        fields = {field.name for field in dataclasses.fields(self.config_class)}
        return fields.intersection(PLACEMENT)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        settings = self.settings()
        for name, value in options.items():
            if name not in settings:
                raise unknown(f"setting of method {self.name}", name, settings)
            settings[name].check(value)

    def __repr__(self) -> str:
        return f"<method {self.name}: {self.summary}>"


def scale_of(config: PeftConfig) -> float | None:
    """Return the factor alpha / r, or alpha / √r; None without such a factor.

    Example:
        >>> from peft import LoraConfig
        >>> scale_of(LoraConfig(r=2)), scale_of(LoraConfig(r=4, lora_alpha=8, use_rslora=True))
        (4.0, 4.0)
    """
    scale = getattr(config, "scale", None)
    if isinstance(scale, int | float):
        return float(scale)
    r = getattr(config, "r", None)
    alpha = getattr(config, "lora_alpha", getattr(config, "alpha", None))
    if not isinstance(r, int) or not isinstance(alpha, int | float):
        return None
    return alpha / (math.sqrt(r) if getattr(config, "use_rslora", False) else r)
