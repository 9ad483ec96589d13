"""QuanTA: a full-rank change from small tensors on pairs of input axes.

    x ∈ R^D reshaped to axes (d_1, …, d_N),  D = Π d_n
    T_θ = the product over all axis pairs m < n of T^{(m,n)}, a (d_m d_n) × (d_m d_n) matrix each
    Δy = T_θ x − T_θ₀ x

θ₀ is a frozen copy of the random initial values, so the initial change is exactly zero. The authors
subtract T_θ₀ from W₀ once; here T_θ₀ stays a second branch, so that W₀ is unchanged and may be
quantised. The change is a constant matrix, T_θ − T_θ₀, so it can be merged.

Sizes: without `dims`, D is the smallest size of at least max(in, out) that splits into balanced
factors. Inputs are zero-padded or cropped to D, outputs cropped or zero-padded from D, as in the
authors' code. If D is below out_features, outputs beyond D have no change.

Trainable parameters of a layer:

    Σ_{m<n} (d_m d_n)²

Source:
    arXiv:2406.00132 and the authors' code: order of the pairs (last axes first), initialisation
    (Kaiming uniform, no nonlinearity), no scaling. Without given factors they use d_n = ⌈max(in,
    out)^{1/N}⌉; trying divisors first is our choice [R].
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping

import opt_einsum
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.peft import AdapterConfig, method
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting
from qtha_lab.tensor_networks.factors import factorise

# Cost per operation of one large product, and setup cost of a chain of small contractions, both in
# operations of such a chain; measured.
PRODUCT_COST = 0.27
CHAIN_START = 1e6


@dataclasses.dataclass
class QuantaConfig(AdapterConfig):
    """Settings of QuanTA; 16-8-8-4 is the authors' recipe for 4096.

    Example:
        >>> QuantaConfig(dims=(16, 8, 8, 4)).n_parameters(4096, 4096)
        43008
    """

    n_axes: int = setting(4, "Axes that a vector is reshaped to.", ge=2, le=8, common=True)
    dims: tuple | None = setting(
        None, "Sizes of the axes, largest first as a rule; None finds balanced ones.", common=True
    )

    def __post_init__(self):
        super().__post_init__()
        if self.dims is None:
            return
        is_list = isinstance(self.dims, (list, tuple)) and len(self.dims) > 1
        if not is_list or any(not isinstance(d, int) or d < 2 for d in self.dims):
            raise Refusal(
                "dims must be a list of two or more whole numbers above 1, such as [16, 8, 4], got "
                f"{self.dims!r}."
            )
        self.dims = tuple(self.dims)

    def dims_for(self, in_features: int, out_features: int) -> tuple[int, ...]:
        """Return the sizes of the axes into which a layer's vectors are reshaped."""
        return self.dims or balanced_axes(max(in_features, out_features), self.n_axes)


@functools.cache
def balanced_axes(size: int, n_axes: int) -> tuple[int, ...]:
    """Choose axes that hold `size` numbers.

    They are the factors of the smallest D ≥ size with no factor above 2 D^{1/n}.

    Example:
        >>> balanced_axes(192, 4), balanced_axes(4096, 4), balanced_axes(13, 3)
        ((4, 4, 4, 3), (8, 8, 8, 8), (4, 2, 2))
    """
    for padded in itertools.count(max(size, 4)):
        dims = factorise(padded, n_axes)
        if dims[0] <= 2 * padded ** (1 / n_axes):
            return tuple(d for d in dims if d > 1)
    raise AssertionError("some number of digits is a product of small factors")


def pairs(n_axes: int) -> list[tuple[int, int]]:
    """List all pairs of axes in the authors' order, the last axes first.

    Example:
        >>> pairs(3)
        [(1, 2), (0, 2), (0, 1)]
    """
    return [(n, m) for m, n in itertools.combinations(reversed(range(n_axes)), 2)]


@method(
    "quanta",
    QuantaConfig,
    summary="Small tensors on all pairs of axes of the reshaped input: full rank from few numbers.",
    equation="ΔW = T(θ) − T(θ₀), T = Π T⁽ᵐⁿ⁾ on pairs of axes",
    source="QuanTA, arXiv:2406.00132, and its authors' code",
    default_learning_rate=5e-3,
    style=MethodStyle("green", "solid", "square"),
    examples={
        "balanced": {"n_axes": 3},
        "by-hand": {"dims": (8, 4, 3)},
        "smaller-than-the-layer": {"dims": (4, 3, 2)},
    },
)
class Quanta(Change):
    """Tensors and formula of QuanTA at one layer."""

    def __init__(self, config: QuantaConfig, layer: Layer):
        super().__init__(config, layer)
        self.dims = config.dims_for(layer.in_features, layer.out_features)
        self.pairs = pairs(len(self.dims))

    def n_parameters(self) -> int:
        return sum((self.dims[m] * self.dims[n]) ** 2 for m, n in self.pairs)

    def tensors(self) -> dict[str, TensorSpec]:
        sizes = {f"{m}_{n}": self.dims[m] * self.dims[n] for m, n in self.pairs}
        trained = {f"T_{pair}": TensorSpec((d, d)) for pair, d in sizes.items()}
        frozen = {f"start_{pair}": TensorSpec((d, d), False) for pair, d in sizes.items()}
        return trained | frozen

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        trained, frozen = self._branches(tensors)
        for tensor, start in zip(trained, frozen, strict=True):
            _draw(tensor)
            if self.config.init_weights:
                start.copy_(tensor)
            else:
                _draw(start)

    def _branches(self, tensors: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the tensors of T_θ and of T_θ₀, in the order of `pairs`."""
        names = [f"{m}_{n}" for m, n in self.pairs]
        return [tensors[f"T_{n}"] for n in names], [tensors[f"start_{n}"] for n in names]

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        tokens = x.numel() // x.shape[-1]
        if takes_dense_route(self.dims, tokens):
            return torch.nn.functional.linear(x, self.delta_weight(tensors))
        axes = _resized(x, math.prod(self.dims)).reshape(tokens, *self.dims)
        trained, frozen = (_apply(self.dims, axes, branch) for branch in self._branches(tensors))
        change = (trained - frozen).reshape(*x.shape[:-1], math.prod(self.dims))
        return _resized(change, self.layer.out_features)

    def delta_weight(
        self, tensors: Mapping[str, Tensor]
    ) -> Float[Tensor, "out_features in_features"]:
        """Compute T_θ − T_θ₀, cropped or padded to the layer."""
        trained, frozen = (_apply(self.dims, None, branch) for branch in self._branches(tensors))
        size = math.prod(self.dims)
        change = (trained - frozen).reshape(size, size)
        wide = _resized(change, self.layer.in_features)
        return _resized(wide.mT, self.layer.out_features).mT


def _draw(tensor: Tensor) -> None:
    torch.nn.init.kaiming_uniform_(tensor, a=math.sqrt(5), nonlinearity="linear")


def _resized(x: Float[Tensor, "*batch n"], size: int) -> Float[Tensor, "*batch size"]:
    """Zero-pad at the end, or crop."""
    return x if x.shape[-1] == size else torch.nn.functional.pad(x, (0, size - x.shape[-1]))


def _apply(dims: tuple[int, ...], axes: Tensor | None, branch: list[Tensor]) -> Tensor:
    """Apply T to inputs (tokens, *dims), or return T as (*dims, *dims) without inputs."""
    legs = [
        tensor.reshape(dims[m], dims[n], dims[m], dims[n])
        for tensor, (m, n) in zip(branch, pairs(len(dims)), strict=True)
    ]
    contract, _ = _expression(dims, None if axes is None else len(axes))
    return contract(*legs) if axes is None else contract(axes, *legs)


@functools.lru_cache(maxsize=1024)
def takes_dense_route(dims: tuple[int, ...], tokens: int) -> bool:
    """Return True if computing T_θ − T_θ₀ first is expected to be faster."""
    if tokens == 0:
        return True
    size = math.prod(dims)
    dense = 2 * _expression(dims, None)[1] + PRODUCT_COST * 2 * tokens * size**2
    return dense <= 2 * (_expression(dims, tokens)[1] + CHAIN_START)


@functools.lru_cache(maxsize=1024)
def _expression(dims: tuple[int, ...], tokens: int | None):
    """Return the contraction of all pairs in the cheapest order, and its cost."""
    symbols = map(opt_einsum.get_symbol, itertools.count())
    token, ins = next(symbols), [next(symbols) for _ in dims]
    current, terms, sizes = list(ins), [], []
    for m, n in pairs(len(dims)):
        before = current[m] + current[n]
        current[m], current[n] = next(symbols), next(symbols)
        terms.append(current[m] + current[n] + before)
        sizes.append((dims[m], dims[n], dims[m], dims[n]))
    result = "".join(current + ins)
    if tokens is not None:
        terms, sizes = [token + "".join(ins), *terms], [(tokens, *dims), *sizes]
        result = token + "".join(current)
    equation = f"{','.join(terms)}->{result}"
    order = "optimal" if len(terms) <= 7 else "auto"
    _, info = opt_einsum.contract_path(equation, *sizes, shapes=True, optimize=order)
    return opt_einsum.contract_expression(equation, *sizes, optimize=order), float(info.opt_cost)
