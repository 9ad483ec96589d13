"""Token-independent products of adapter tensors, for all layers at once and cached.

A scope covers one forward pass, all tokens of a generated answer, or all batches of an evaluation.
Within a scope the first layer that needs a product triggers the computation for every layer. With
gradients each product is used once, by one forward pass. Without gradients it is cached as long as
its tensors stay unchanged. Outside of a scope, and under tracing, compilation or transforms of
torch, each layer computes its own products.

Writes through `.data` are not detected; no product outlives its scope.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

if TYPE_CHECKING:
    from qtha_lab.adapters.change import Change
    from qtha_lab.adapters.peft.layer import AdapterLayer

    _Member = tuple[
        AdapterLayer, str, Mapping[str, Tensor]
    ]  # layer, adapter, and the adapter's sources there


@contextlib.contextmanager
def hold_products(model: nn.Module) -> Iterator[None]:
    """Cache the products of a model's adapters for all gradient-free forward passes inside.

    `generate` calls this function itself.

    Example:
        >>> import torch
        >>> from qtha_lab.adapters import QthaConfig, add_adapter
        >>> config = QthaConfig(r=2, waist=4, bond_dim=2, n_layers=1, target_modules=["0"])
        >>> model = add_adapter(torch.nn.Sequential(torch.nn.Linear(4, 4)), config)
        >>> with torch.no_grad(), hold_products(model):
        ...     outputs = [model(torch.ones(1, 4)) for _ in range(3)]  # one contraction
    """
    if torch.compiler.is_compiling():
        yield
        return
    scope = Scope(model, _scope.get())
    token = _scope.set(scope)
    # a fused optimiser changes tensors without a new version
    hook = register_optimizer_step_post_hook(lambda *_: scope.forget())
    try:
        yield
    finally:
        hook.remove()
        _scope.reset(token)


def with_products(
    layer: "AdapterLayer", name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> Mapping[str, Tensor]:
    """Return an adapter's tensors at a layer, with products in place of their sources.

    Args:
        layer: Layer that needs the tensors.
        name: Name of the adapter.
        tensors: Adapter's tensors at this layer, as stored.
        dtype: Precision of the products.
    """
    change = layer.changes[name]
    names = change.product_sources()
    if not names:
        return tensors
    sources = {key: tensors[key] for key in names}
    scope = _scope.get() if not torch.compiler.is_compiling() else None
    if torch.compiler.is_compiling() or is_special():
        products = change.own_products(_in(dtype, sources))
    elif scope is None:
        products = _products_of([(layer, name, sources)], dtype)[0].products
    else:
        products = scope.take(layer, name, sources, dtype)
    return {key: t for key, t in tensors.items() if key not in sources} | products


def _in(dtype: torch.dtype, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: t if t.dtype is dtype else t.to(dtype) for key, t in tensors.items()}


def scope_of(layer: "AdapterLayer") -> "Scope | None":
    """Return the outermost active scope that contains the layer.

    Returns None under tracing or transforms of torch.
    """
    scope = _scope.get()
    if scope is None or torch.compiler.is_compiling() or is_special():
        return None
    while scope.outer is not None and layer in scope.outer:
        scope = scope.outer
    return scope if layer in scope else None


def is_special() -> bool:
    """Return True if torch traces or transforms, or runs distributed."""
    return (
        cast("Any", torch._C)._are_functorch_transforms_active()  # missing in torch's stubs
        or cast("Any", torch.jit).is_tracing()
        or torch.autograd.forward_ad._current_level >= 0
        or (torch.distributed.is_available() and torch.distributed.is_initialized())
    )


@dataclasses.dataclass
class _Entry:
    """Products with the state of their source tensors."""

    products: dict[str, Tensor]
    dtype: torch.dtype
    sources: list[Tensor]
    memory: list[Tensor]  # holds the memory, so that its address stays unique
    versions: list[int | None]

    def fits(self, sources: Mapping[str, Tensor], dtype: torch.dtype) -> bool:
        """Return True if the products belong to these sources."""
        if dtype != self.dtype or len(sources) != len(self.sources):
            return False
        states = zip(sources.values(), self.sources, self.memory, self.versions, strict=True)
        return all(
            tensor is source
            and version is not None
            and tensor._version == version
            and tensor.data_ptr() == memory.data_ptr()
            and tensor.dtype == memory.dtype
            for tensor, source, memory, version in states
        )


class Scope:
    """Cache of products around forward passes.

    Attributes:
        cached_delta: Cached functions for generated tokens by layer; None after a first pass.
    """

    def __init__(self, model: nn.Module, outer: "Scope | None"):
        self.model, self.outer = model, outer
        self.layers: list[AdapterLayer] | None = None
        # by gradient mode; computed together once per mode
        self.entries: dict[bool, dict[tuple[AdapterLayer, str], _Entry]] = {}
        self.cached_delta: dict[AdapterLayer, Any] = {}

    def forget(self) -> None:
        """Clear the cache after a change of tensors."""
        self.entries.clear()
        self.cached_delta.clear()

    def take(
        self, layer: "AdapterLayer", name: str, sources: Mapping[str, Tensor], dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """Return the products of an adapter at a layer, from these sources.

        Args:
            layer: Layer that needs the products.
            name: Name of the adapter.
            sources: Source tensors, as stored.
            dtype: Precision of the products.
        """
        gradients = torch.is_grad_enabled()
        if not gradients and self.outer is not None and layer in self.outer:
            return self.outer.take(layer, name, sources, dtype)
        if gradients not in self.entries:
            self.entries[gradients] = self._together(dtype) if layer in self else {}
        entries = self.entries[gradients]
        entry = entries.pop((layer, name), None)
        if entry is None or not entry.fits(sources, dtype):
            (entry,) = _products_of([(layer, name, sources)], dtype)
        if not gradients:  # with gradients the next pass needs a graph of its own
            entries[layer, name] = entry
        return entry.products

    def __contains__(self, layer: "AdapterLayer") -> bool:
        if self.layers is None:
            tuned = (m for m in self.model.modules() if isinstance(m, BaseTunerLayer))
            self.layers = cast(
                "list[AdapterLayer]",
                [m for m in tuned if hasattr(m, "changes") and not hasattr(m, "parameter_name")],
            )
            self._members = set(self.layers)
        return layer in self._members

    def _together(self, dtype: torch.dtype) -> dict[tuple["AdapterLayer", str], _Entry]:
        """Compute the products of every active adapter; empty if a source is on meta."""
        kinds: dict[Hashable, list[_Member]] = {}
        for layer in self.layers or ():
            for name in layer.active_adapters:
                change = layer.changes.get(name)
                if change is None or not change.product_sources() or layer.merged_adapters:
                    continue
                tensors = layer.adapter_tensors(name)
                sources = {key: tensors[key] for key in change.product_sources()}
                if any(tensor.is_meta for tensor in sources.values()):
                    return {}  # offloaded until their layer runs
                kinds.setdefault(_kind(change, sources), []).append((layer, name, sources))
        return {
            (layer, name): entry
            for members in kinds.values()
            for (layer, name, _), entry in zip(members, _products_of(members, dtype), strict=True)
        }


def _kind(change: "Change", sources: Mapping[str, Tensor]) -> Hashable:
    """Return a key that is equal for adapters computed together."""
    sizes = tuple((t.shape, t.dtype, t.device) for t in sources.values())
    return type(change), change.product_kind(), tuple(sources), sizes


def _products_of(members: "Sequence[_Member]", dtype: torch.dtype) -> list[_Entry]:
    """Compute the products of several adapters of one kind.

    With gradients, one graph node covers all of them.
    """
    layer, name, sources = members[0]
    change, names = layer.changes[name], tuple(sources)
    at_hand = [_in(dtype, sources) for *_, sources in members]
    flat = [of[key] for key in names for of in at_hand]
    gradients = torch.is_grad_enabled()
    if gradients and any(tensor.requires_grad for tensor in flat):
        product_names: list[str] = []
        results = _in_rows(_Products.apply(change, names, product_names, *flat), len(members))
    else:
        products = change.products(dict(zip(names, _stacked(flat, len(members)), strict=True)))
        product_names, results = list(products), [product.unbind() for product in products.values()]
    return [
        _Entry(
            dict(zip(product_names, products, strict=True)),
            dtype,
            list(sources.values()),
            # tensors do not move within one pass
            [t if gradients else t.detach() for t in sources.values()],
            [None if t.is_inference() else t._version for t in sources.values()],
        )
        for products, (*_, sources) in zip(zip(*results, strict=True), members, strict=True)
    ]


class _Products(torch.autograd.Function):
    """Autograd node for all stacked products of a kind; one node per tensor is slower.

    An unused layer receives no gradient instead of a zero one. Saved tensors bypass outer hooks. So
    a checkpointed block saves the same number of tensors when it recomputes its products without
    the scope.
    """

    @staticmethod
    def forward(
        ctx, change: "Change", names: tuple[str, ...], product_names: list[str], *inputs: Tensor
    ):
        ctx.change, ctx.names, ctx.inputs = change, names, inputs
        ctx.versions = [tensor._version for tensor in inputs]
        count = len(inputs) // len(names)
        ctx.stacks = _stacked(inputs, count)
        for stack, row in zip(ctx.stacks, _in_rows(inputs, count), strict=True):
            stack.requires_grad_(any(tensor.requires_grad for tensor in row))
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(_same, _same):
            products = change.products(dict(zip(names, ctx.stacks, strict=True)))
        product_names += list(products)
        ctx.outputs = list(products.values())
        ctx.set_materialize_grads(False)
        return tuple(part for output in ctx.outputs for part in output.detach().unbind())

    @staticmethod
    def backward(ctx, *gradients: Tensor | None):
        if ctx.versions != [tensor._version for tensor in ctx.inputs]:
            raise RuntimeError(
                "an adapter's tensor was modified by an inplace operation between the forward and "
                "the backward pass: change it before the one or after the other"
            )
        again = torch.is_grad_enabled()  # for second derivatives
        sources, outputs = ctx.stacks, ctx.outputs
        count = len(ctx.inputs) // len(ctx.names)
        if again:
            sources = _stacked(ctx.inputs, count)
            products = ctx.change.products(dict(zip(ctx.names, sources, strict=True)))
            outputs = list(products.values())
        of_outputs = _in_rows(gradients, count)
        used = [
            any(gradient is not None for gradient in of_layer)
            for of_layer in zip(*of_outputs, strict=True)
        ]
        needed = [
            need and use
            for need, use in zip(ctx.needs_input_grad[3:], used * len(ctx.names), strict=True)
        ]
        results: list[Tensor | None] = []
        for row, value in zip(
            _in_rows(needed, count), _gradients(sources, outputs, of_outputs, again), strict=True
        ):
            parts = [None] * count if value is None else value.unbind()
            results += [part if need else None for need, part in zip(row, parts, strict=True)]
        return None, None, None, *results


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _gradients(
    sources: Sequence[Tensor],
    outputs: Sequence[Tensor],
    gradients: "Sequence[Sequence[Tensor | None]]",
    again: bool,
) -> Sequence[Tensor | None]:
    """Compute the gradients of all stacks; None for stacks without a used output."""
    read = [  # products of frozen tensors have no gradient
        (output, _filled(of_layers, output))
        for output, of_layers in zip(outputs, gradients, strict=True)
        if output.requires_grad and any(s is not None for s in of_layers)
    ]
    trained = [source for source in sources if source.requires_grad]
    if not trained or not read:
        return [None] * len(sources)
    values = iter(
        torch.autograd.grad(
            [output for output, _ in read],
            trained,
            [gradient for _, gradient in read],
            retain_graph=True,
            create_graph=again,
            allow_unused=True,
        )
    )
    return [next(values) if source.requires_grad else None for source in sources]


def _filled(gradients: "Sequence[Tensor | None]", output: Tensor) -> Tensor:
    """Stack the gradients of all layers, with zeros for unused layers."""
    zero = torch.zeros_like(output[0])
    return torch.stack([zero if gradient is None else gradient for gradient in gradients])


def _in_rows(flat: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Split a flat sequence into rows of `count` items."""
    return [flat[start : start + count] for start in range(0, len(flat), count)]


def _stacked(flat: Sequence[Tensor], count: int) -> list[Tensor]:
    return [torch.stack(list(row)) for row in _in_rows(flat, count)]


_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("products", default=None)
