"""What a method is: a name, settings, and the change it makes to a layer's output.

Holds no PEFT machinery (`peft` does) and no method; one of ours is one file beside this one:

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
    "rank_pattern",
    "alpha_pattern",
)
PATTERNS = ("layers_pattern", "rank_pattern", "alpha_pattern")


def check_patterns(placement: Mapping[str, Any]) -> None:
    """Refuse text that PEFT would read as a regular expression and that is none.

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
    """The layer that is adapted: its sizes, where in the model it lies, and what lies beside it.

    Args:
        in_features: Numbers that go in per token; of a convolution, per patch (channels times
            kernel).
        out_features: Numbers that come out.
        name: Of the module in the model.
        block: Index of its transformer block.
        n_blocks: How many there are.
        index: Which of the adapted layers it is, in the model's order.
        sizes: (in_features, out_features) of all of them; alone where nothing is said.
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
    """One named tensor of a method at one layer; a frozen one is saved but not trained."""

    shape: tuple[int, ...]
    trainable: bool = True


class Base:
    """The layer that is adapted, as it was before; each part is made when it is first read.

    Args:
        weight: Gives the frozen weight, in the precision that the change is computed in.
        output: Gives the layer's output for the input at hand, without its bias.
    """

    def __init__(self, weight: Callable[[], Tensor], output: Callable[[], Tensor]):
        self._weight, self._output = weight, output

    @functools.cached_property
    def weight(self) -> Float[Tensor, "out_features in_features"]:
        """The frozen weight; a quantised one as it multiplies."""
        return self._weight()

    @functools.cached_property
    def output(self) -> Float[Tensor, "*batch out_features"]:
        """weight · x, without the bias."""
        return self._output()

    @classmethod
    def of(cls, weight: Float[Tensor, "out_features in_features"], x: Tensor) -> "Base":
        """The layer of a weight that is at hand, for an input."""
        return cls(lambda: weight, lambda: torch.nn.functional.linear(x, weight))


AtRest = Callable[[Tensor, Tensor], Tensor]


class Change(ABC):
    """The mathematics of one method at one layer: named tensors, and the change they make.

    Plain data only (it is copied and pickled with the model): tensors live in the PEFT layer.
    `small_first_step` names the option whose first step goes about as far as LoRA's, if there is
    one.

    `delta` may have a third parameter, `base`: the layer as it was before. Tensors that several
    layers use are named by `shared_tensors` and filled by `initialise_shared`.
    """

    small_first_step: str = ""

    def __init__(self, config: Any, layer: Layer):
        self.config = config
        self.layer = layer

    @classmethod
    def is_linear(cls, config: Any) -> bool:
        """Whether the change is W · x of a constant matrix W, so that it can be merged into the weight.

        An affine change, W · x + b with b other than zero, is not linear.
        """
        return True

    @abstractmethod
    def tensors(self) -> dict[str, TensorSpec]:
        """Names and shapes of this layer's own; a name has no dot."""

    def shared_tensors(self) -> dict[str, TensorSpec]:
        """Names and shapes of those that every layer with the same name in this dictionary uses too.

        Optional. Each is stored, saved and counted once for all layers of an adapter.
        """
        return {}

    @abstractmethod
    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the layer's own tensors in place: no change at the start, unless `init_weights` is False."""

    def initialise_shared(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the shared tensors that this layer is the first to name; needed where there are any."""
        raise NotImplementedError(
            f"{type(self).__name__} has shared_tensors and fills none of them"
        )

    def start_from(self, tensors: Mapping[str, Tensor], samples: Sequence[Any]) -> None:
        """Start anew from what training rows say; needed where the config has `start_rows`.

        Args:
            tensors: The layer's own and the shared ones, by name, filled at random before.
            samples: `data_start.LayerSample` of this layer, or of all that share its tensors.
        """
        raise NotImplementedError(f"{type(self).__name__} has start_rows and reads none")

    @abstractmethod
    def n_parameters(self) -> int:
        """Trainable parameters of this layer's own, by the formula of the method's docstring."""

    @abstractmethod
    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        """What is added to the layer's output for the input x (float32 or float64).

        Args:
            tensors: The layer's own and the shared ones, by name.
            x: Input of the layer; of a convolution, its patches.

        A method that declares a third parameter is also given the `Base`.
        """

    def angle_circuits(self) -> Mapping[str, Sequence[Any]]:
        """Tensors of angles by name, and the circuits whose angles each holds, one after another.

        Optional: with the setting `angles` (`qtha_lab.adapters.initialisation.angles`) they can
            start elsewhere than where
        `initialise` puts them.
        """
        return {}

    def follow_angles(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027  most need not
        """Make anew what `initialise` made of the angles, after they were moved; nothing for most."""

    def product_sources(self) -> tuple[str, ...]:
        """Names of the tensors that `products` are made of at this layer; none where it makes none."""
        return ()

    def product_kind(self) -> Hashable:
        """Equal at layers whose products, of sources of equal shapes, are made in the same way."""
        return None

    def products(
        self, tensors: Mapping[str, Float[Tensor, "layers *shape"]]
    ) -> dict[str, Float[Tensor, "layers *product"]]:
        """What layers of this kind make of their tensors alone, the same for every token; for all of them at once.

        Optional, with `product_sources`: made once for a step, or for all tokens of an answer.
        `delta` is then given the products in the place of their sources; given those, it makes them
        itself, by `own_products`.

        Args:
            tensors: The sources by name, stacked: many small operations cost more than a large one.

        Returns:
            Products by name, stacked likewise, differentiable in the sources.
        """
        return {}

    def own_products(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The products of this layer alone.

        Args:
            tensors: Its sources by name, others among them.
        """
        stacked = {name: tensors[name].unsqueeze(0) for name in self.product_sources()}
        return {name: product.squeeze(0) for name, product in self.products(stacked).items()}

    def at_rest(self, tensors: Mapping[str, Tensor], factor: float) -> AtRest | None:
        """What adds `delta` of the few tokens of an answer, by tensors that stay: what depends on no token is done once.

        Optional: what most of a small product takes is its call.

        Args:
            tensors: As for `delta`, with the products; copies of them may be kept.
            factor: Of the change.

        Returns:
            A function of x (tokens, 1, in_features) and what the change is added to (tokens, 1,
            out_features), to be called without gradients; it changes neither. None where it is to
            be `delta`.
        """
        return None

    def delta_weight(
        self, tensors: Mapping[str, Tensor], base: Any = None
    ) -> Float[Tensor, "out_features in_features"]:
        """The change as a matrix, for a linear one; a method that overrides it may leave `base` out."""
        tensor = next(iter(tensors.values()))
        identity = torch.eye(self.layer.in_features, dtype=tensor.dtype, device=tensor.device)
        if base is None or not self.reads_base():
            return self.delta(tensors, identity).mT
        weight = base.weight
        return self.output(tensors, identity, Base(lambda: weight, lambda: weight.mT)).mT

    @classmethod
    def reads_base(cls) -> bool:
        """Whether `delta` declares a third parameter."""
        return _n_arguments(cls.delta) > 3

    def output(self, tensors: Mapping[str, Tensor], x: Tensor, base: Base) -> Tensor:
        """`delta`, given the base if it reads it.

        Args:
            tensors: The layer's own and the shared ones, by name.
            x: Input of the layer, (*batch, in_features); of a convolution, its patches.
            base: The layer as it was before.

        Returns:
            What is added to the layer's output, (*batch, out_features).
        """
        delta: Callable[..., Tensor] = self.delta
        return delta(tensors, x, base) if self.reads_base() else delta(tensors, x)

    def matrix(self, tensors: Mapping[str, Tensor], base: Base) -> Tensor:
        """`delta_weight`, given the base if it reads it."""
        whole: Callable[..., Tensor] = self.delta_weight
        reads = _n_arguments(type(self).delta_weight) > 2
        return whole(tensors, base) if reads else whole(tensors)

    def all_tensors(self) -> dict[str, TensorSpec]:
        """The layer's own and the shared ones.

        Raises:
            Refusal: If one name stands among both.
        """
        separate, shared = self.tensors(), self.shared_tensors()
        if names := separate.keys() & shared.keys():
            raise Refusal(
                f"{min(names)!r} is both a layer's own tensor and a shared one: rename one"
            )
        return separate | shared

    def joins(self, before: "Change") -> tuple[str, ...]:
        """Tensors that are zero while `before` is trained, so that this change, with more parts, begins where it ends.

        Optional, for methods whose settings leave parts out (`stages`).

        Raises:
            Refusal: If there are more tensors, and none of them does that.
        """
        more = self.all_tensors().keys() - before.all_tensors().keys()
        if more:
            raise Refusal(
                f"method {self.config.method_name} cannot take up {', '.join(sorted(more))} in a later stage: its "
                "change would jump"
            )
        return ()

    def start(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """All tensors, freshly made and filled, as at a layer that is alone."""
        tensors = {n: torch.empty(s.shape, dtype=dtype) for n, s in self.all_tensors().items()}
        with torch.no_grad():
            if shared := self.shared_tensors():
                self.initialise_shared({name: tensors[name] for name in shared})
            self.initialise({name: tensors[name] for name in self.tensors()})
        return tensors

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
        """All circuits of this one layer; they run once per token where they read data, else once per step."""
        return []

    @classmethod
    def why_not_linear(cls, config: Any) -> str:
        """Why this cannot be merged and what can be done instead, for the error message."""
        return "its change is not one constant matrix"


@torch.compiler.assume_constant_result
def _n_arguments(function: Callable) -> int:
    return _counted_arguments(function)


@functools.cache
def _counted_arguments(function: Callable) -> int:
    return len(inspect.signature(function).parameters)


def n_trained(specs: Iterable[TensorSpec]) -> int:
    """Numbers in those tensors that are trained.

    Example:
        >>> n_trained([TensorSpec((2, 3)), TensorSpec((5,), trainable=False)])
        6
    """
    return sum(math.prod(spec.shape) for spec in specs if spec.trainable)


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
    default_learning_rate: float
    other_learning_rates: Mapping[tuple[str, Any], float] = {}
    config_class: type
    style: MethodStyle | None = None
    controls: tuple[Control, ...] = ()
    compare_with_lora: bool = False  # lists put LoRA of equal r and of equal size beside it
    sized_by: tuple[str, ...] = ("r",)  # settings that say how many parameters it trains

    @property
    def size_settings(self) -> tuple[str, ...]:
        """The settings that say how many parameters it trains; none where nothing does."""
        return tuple(name for name in self.sized_by if name in self.settings())

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

    def start_rows(self, options: Mapping[str, Any]) -> int:
        """How many training rows the start with these options may read; 0 for most."""
        return 0

    def is_linear(self, config: Any) -> bool:
        """Whether the change is a constant matrix, so that it can be merged into the weights."""
        return True

    def make_config(
        self, task_type: str | None = None, target_modules: Any = None, **options: Any
    ) -> Any:
        """A PEFT config of this method.

        Raises:
            Refusal: For an unknown option, with the nearest name, or a value outside its limits.
        """
        placement = {k: options.pop(k) for k in list(options) if k in self._placement()}
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
        """Refuse everything that can be refused before a weight is loaded.

        Args:
            options: As for `make_config`.
            sizes: (in_features, out_features) of the layers that will be adapted, if known.

        Raises:
            Refusal: For an option or a value that the method does not take, or sizes it cannot
                adapt.
        """
        for name in options:
            if name in NOTES:
                raise Refusal(
                    f"{name} is no setting of method {self.name!r}: PEFT writes it itself, leave it out"
                )
        config = self.make_config(**options)
        self.check_sizes(config, sorted(sizes or ()))

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
                    f"method {self.name!r} has no setting {name!r}{hint} Known: {', '.join(settings)}"
                )
            settings[name].check(value)

    def __repr__(self) -> str:
        return f"<method {self.name}: {self.summary}>"
