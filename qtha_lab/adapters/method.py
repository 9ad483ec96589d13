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
"""

import dataclasses
import functools
import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import Setting, nearest

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
class Layer:
    """Adapted layer: sizes, position in the model, and the other adapted layers.

    Args:
        in_features: Inputs per token; for a convolution, per patch (channels times kernel).
        out_features: Outputs per token or patch.
        name: Name of the module in the model.
        block: Index of its transformer block.
        n_blocks: Number of transformer blocks.
        index: Index among the adapted layers, in the model's order.
        sizes: (in_features, out_features) of all adapted layers; by default of this layer alone.
    """

    in_features: int
    out_features: int
    name: str = ""
    block: int | None = None
    n_blocks: int | None = None
    index: int = 0
    sizes: tuple[tuple[int, int], ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self):
        if not self.sizes:
            object.__setattr__(self, "sizes", ((self.in_features, self.out_features),))


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Shape of a named tensor of a method; frozen tensors are saved, not trained."""

    shape: tuple[int, ...]
    trainable: bool = True


class Base:
    """Adapted layer without the adapter; weight and output are computed on first use.

    Args:
        weight: Function that returns the frozen weight, in the precision of the change.
        output: Function that returns the layer's output for the current input, without bias.
    """

    def __init__(self, weight: Callable[[], Tensor], output: Callable[[], Tensor]):
        self._weight, self._output = weight, output

    @functools.cached_property
    def weight(self) -> Float[Tensor, "out_features in_features"]:
        """Frozen weight; a quantised weight is dequantised."""
        return self._weight()

    @functools.cached_property
    def output(self) -> Float[Tensor, "*batch out_features"]:
        """Product weight · x, without the bias."""
        return self._output()

    @classmethod
    def of(cls, weight: Float[Tensor, "out_features in_features"], x: Tensor) -> "Base":
        """Build the base from a given weight and input."""
        return cls(lambda: weight, lambda: torch.nn.functional.linear(x, weight))


AtRest = Callable[[Tensor, Tensor], Tensor]


class Change(ABC):
    """Mathematics of one method at one layer: named tensors, and the change of the output.

    Holds plain data only, since it is copied and pickled with the model; the tensors are in the
    PEFT layer. `small_first_step` names the option whose first step is about as large as LoRA's, if
    one exists. `delta` may have a third parameter `base`, the layer without the adapter.
    `shared_tensors` names tensors that several layers use, and `initialise_shared` fills them.
    """

    small_first_step: str = ""

    def __init__(self, config: Any, layer: Layer):
        self.config = config
        self.layer = layer

    @classmethod
    def is_linear(cls, config: Any) -> bool:
        """Return whether the change is W · x with one constant, mergeable matrix W.

        An affine change W · x + b with nonzero b is not linear.
        """
        return True

    @abstractmethod
    def tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the layer's own tensors; a name has no dot."""

    def shared_tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the tensors shared with other layers.

        Optional. Every layer with the same name in this dictionary uses the same tensor, which is
        stored, saved and counted once per adapter.
        """
        return {}

    @abstractmethod
    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the layer's own tensors in place.

        The initial change is zero, unless `init_weights` is False.
        """

    def initialise_shared(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the shared tensors that this layer is the first to name.

        Required if there are any.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has shared_tensors and fills none of them"
        )

    def start_from(self, tensors: Mapping[str, Tensor], samples: Sequence[Any]) -> None:
        """Initialise from training rows; required if the config has `start_rows`.

        Args:
            tensors: Own and shared tensors by name, already filled at random.
            samples: `from_data.LayerSample` of this layer, or of all layers that share its tensors.
        """
        raise NotImplementedError(f"{type(self).__name__} has start_rows and reads none")

    @abstractmethod
    def n_parameters(self) -> int:
        """Count the layer's own trainable parameters, by the method's formula."""

    @abstractmethod
    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        """Compute the change of the layer's output for the input x (float32 or float64).

        Args:
            tensors: Own and shared tensors by name.
            x: Input of the layer; for a convolution, its patches.

        A method that declares a third parameter also receives the `Base`.
        """

    def angle_circuits(self) -> Mapping[str, Sequence[Any]]:
        """Return the circuits of each tensor of angles, in the order of their angles.

        Optional: enables the setting `angles` (`qtha_lab.adapters.initialisation.angles`), which
        overrides the angles of `initialise`.
        """
        return {}

    def follow_angles(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027  optional
        """Recompute tensors that depend on the initial angles, after the angles changed.

        Most methods have no such tensors.
        """

    def product_sources(self) -> tuple[str, ...]:
        """Return names of the tensors that `products` uses; empty without products."""
        return ()

    def product_kind(self) -> Hashable:
        """Return a key that is equal for layers with the same computation of products."""
        return None

    def products(
        self, tensors: Mapping[str, Float[Tensor, "layers *shape"]]
    ) -> dict[str, Float[Tensor, "layers *product"]]:
        """Compute token-independent products of tensors, for all layers of one kind at once.

        Optional, with `product_sources`. Products are computed once per step, or once per generated
        answer. `delta` then receives the products in place of their sources. If it receives the
        sources, it computes the products itself by `own_products`.

        Args:
            tensors: Stacked sources by name; one large operation costs less than many small ones.

        Returns:
            Stacked products by name, differentiable in the sources.
        """
        return {}

    def own_products(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the products of this layer alone."""
        stacked = {name: tensors[name].unsqueeze(0) for name in self.product_sources()}
        return {name: product.squeeze(0) for name, product in self.products(stacked).items()}

    def at_rest(self, tensors: Mapping[str, Tensor], factor: float) -> AtRest | None:
        """Return a function that adds `delta` for generated tokens, with fixed tensors.

        Optional: token-independent parts are computed once, which reduces the overhead of small
        products.

        Args:
            tensors: Tensors as for `delta`, with the products; the function may hold copies.
            factor: Factor on the change.

        Returns:
            A function of x (tokens, 1, in_features) and of the output (tokens, 1, out_features) to
            which the change is added. It runs without gradients and changes neither argument. None
            to use `delta`.
        """
        return None

    def delta_weight(
        self, tensors: Mapping[str, Tensor], base: Any = None
    ) -> Float[Tensor, "out_features in_features"]:
        """Compute the change as a matrix, for a linear method.

        An override may omit the parameter `base`.
        """
        tensor = next(iter(tensors.values()))
        identity = torch.eye(self.layer.in_features, dtype=tensor.dtype, device=tensor.device)
        if base is None or not self.reads_base():
            return self.delta(tensors, identity).mT
        weight = base.weight
        return self.output(tensors, identity, Base(lambda: weight, lambda: weight.mT)).mT

    @classmethod
    def reads_base(cls) -> bool:
        """Return whether `delta` declares a third parameter."""
        return _n_arguments(cls.delta) > 3

    def output(self, tensors: Mapping[str, Tensor], x: Tensor, base: Base) -> Tensor:
        """Call `delta`, with the base if it declares one.

        Args:
            tensors: Own and shared tensors by name.
            x: Input of the layer, (*batch, in_features); for a convolution, its patches.
            base: Layer without the adapter.

        Returns:
            Change of the layer's output, (*batch, out_features).
        """
        delta: Callable[..., Tensor] = self.delta
        return delta(tensors, x, base) if self.reads_base() else delta(tensors, x)

    def matrix(self, tensors: Mapping[str, Tensor], base: Base) -> Tensor:
        """Call `delta_weight`, with the base if it declares one."""
        whole: Callable[..., Tensor] = self.delta_weight
        reads = _n_arguments(type(self).delta_weight) > 2
        return whole(tensors, base) if reads else whole(tensors)

    def all_tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of own and shared tensors."""
        separate, shared = self.tensors(), self.shared_tensors()
        for name in (*separate, *shared):
            if not str(name).isidentifier():
                raise Refusal(
                    f"The name of a tensor must be an identifier without a dot, got {name!r}. "
                    "Rename it."
                )
        if names := separate.keys() & shared.keys():
            raise Refusal(
                f"A tensor must be a layer's own or a shared one, got {min(names)!r} as both. "
                "Rename one."
            )
        return separate | shared

    def joins(self, before: "Change") -> tuple[str, ...]:
        """Name tensors that must be zero until a later phase trains its added parts.

        Optional, for methods whose settings leave parts out (`phases`). `before` is the change of
        the earlier phase; a zero tensor makes the change continuous.
        """
        more = self.all_tensors().keys() - before.all_tensors().keys()
        if more:
            raise Refusal(
                f"A later phase of method {self.config.method_name} must not add "
                f"{', '.join(sorted(more))}, because the output would change at once."
            )
        return ()

    def start(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Make and initialise all tensors, as at a single layer."""
        tensors = {n: torch.empty(s.shape, dtype=dtype) for n, s in self.all_tensors().items()}
        with torch.no_grad():
            if shared := self.shared_tensors():
                self.initialise_shared({name: tensors[name] for name in shared})
            self.initialise({name: tensors[name] for name in self.tensors()})
        return tensors

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...] | None:
        """Return thin matrices whose product is the linear part of the change, or None.

        Optional: analyses compute ranks from the factors, without the product or a circuit.
        """
        return None

    def operators(self, tensors: Mapping[str, Tensor]) -> dict[str, tuple[list[Tensor], Any]]:
        """Return cores and `mpo.MpoShape` of the matrix product operators, by name.

        Optional: analyses compute bond dimensions and entanglement from them.
        """
        return {}

    def circuits(self) -> list[Any]:
        """Return all circuits of this layer.

        They run once per token if they read data, else once per step.
        """
        return []

    @classmethod
    def nonlinear_reason(cls, config: Any) -> str:
        """Explain why the change cannot be merged, with a remedy, for the error message."""
        return "its change is not one constant matrix"


@torch.compiler.assume_constant_result
def _n_arguments(function: Callable) -> int:
    return _counted_arguments(function)


@functools.cache
def _counted_arguments(function: Callable) -> int:
    return len(inspect.signature(function).parameters)


def n_trained(specs: Iterable[TensorSpec]) -> int:
    """Count the numbers in the trained tensors.

    Example:
        >>> n_trained([TensorSpec((2, 3)), TensorSpec((5,), trainable=False)])
        6
    """
    return sum(math.prod(spec.shape) for spec in specs if spec.trainable)


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
    """Fine-tuning method, ours or PEFT's, as the command line and forms see it."""

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
        """Return whether a PEFT config belongs to this method."""

    def learning_rate_of(self, options: Mapping[str, Any]) -> float:
        """Return the default learning rate for these options."""
        others = self.other_learning_rates.items()
        suited = (rate for (name, value), rate in others if options.get(name) == value)
        return next(suited, self.default_learning_rate)

    def start_rows(self, options: Mapping[str, Any]) -> int:
        """Return the number of training rows for the initialisation; 0 for most."""
        return 0

    def is_linear(self, config: Any) -> bool:
        """Return whether the change is a constant matrix that can be merged into the weights."""
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
            raise Refusal(f"PEFT refuses the options of {self.name}: {problem}".strip()) from None

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
                close = nearest(name, settings)
                hint = f": did you mean {close!r}?" if close else "."
                raise Refusal(
                    f"Method {self.name!r} has no setting {name!r}{hint} Known: "
                    f"{', '.join(settings)}"
                )
            settings[name].check(value)

    def __repr__(self) -> str:
        return f"<method {self.name}: {self.summary}>"
