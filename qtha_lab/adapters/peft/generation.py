"""Fast change of a layer for generated tokens, with cached token-independent parts.

Applies within a scope of `shared_products`, without gradients. From a layer's second such call on,
token-independent parts are cached (`Change.cached_delta`). The change is then added to the base
output in one product, as long as tensors and settings stay the same. Prompts and evaluations use
the ordinary forward pass, so their results do not change.
"""

import dataclasses
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qtha_lab.adapters.change import CachedDelta
from qtha_lab.adapters.peft.config import CONVOLUTIONS
from qtha_lab.adapters.peft.shared_products import scope_of, with_products

if TYPE_CHECKING:
    from qtha_lab.adapters.peft.layer import AdapterLayer

MOST_ROWS = 16  # batch size limit; larger batches gain nothing


def with_change(layer: "AdapterLayer", x: Tensor, result: Tensor) -> Tensor | None:
    """Return base output plus change for one generated token per row.

    Returns None if the ordinary forward pass applies.

    Args:
        layer: Layer with active adapters.
        x: Input of the layer.
        result: Output of the base layer.
    """
    if torch.is_grad_enabled() or x.dim() != 3 or x.shape[1] != 1 or x.shape[0] > MOST_ROWS:
        return None
    if type(x) is not Tensor or type(result) is not Tensor:
        return None
    if torch.is_autocast_enabled(x.device.type):
        return None
    scope = scope_of(layer)
    if scope is None:
        return None
    if layer not in scope.cached_delta:
        scope.cached_delta[layer] = None  # a single pass does not justify the cache
        return None
    state = scope.cached_delta[layer]
    if state is None or not state.fits(layer, x):
        state = scope.cached_delta[layer] = _State.of(layer, x)
    return state.added(x, result)


@dataclasses.dataclass
class _State:
    """Cached function of a layer, with the tensors and settings that it depends on.

    `add` is None if the ordinary forward pass applies.
    """

    name: str
    settings: tuple
    add: CachedDelta | None
    stores: list[dict[str, Tensor]]
    tensors: list[Tensor]
    memory: list[Tensor]  # holds the memory, so that its address stays unique
    versions: list[int]
    addresses: list[int]

    @classmethod
    def of(cls, layer: "AdapterLayer", x: Tensor) -> "_State":
        """Cache the current state of a layer."""
        names = [name for name in layer.active_adapters if name in layer.changes]
        name = names[0] if names else ""
        settings = _settings(layer, x, name)
        stores = _stores(layer, name)
        tensors = [store[name] for store in stores]
        if len(names) != 1 or not _is_plain(layer, name, x, tensors):
            return cls(name, settings, None, [], [], [], [], [])
        at_hand = {
            key: tensor.detach().to(x.device, torch.float32)
            for key, tensor in with_products(
                layer, name, layer.adapter_tensors(name), torch.float32
            ).items()
        }
        add = layer.changes[name].cached_delta(at_hand, layer.factors[name])
        memory = [tensor.detach() for tensor in tensors]
        versions, addresses = [*map(_VERSION, tensors)], [*map(_ADDRESS, tensors)]
        return cls(name, settings, add, stores, tensors, memory, versions, addresses)

    def fits(self, layer: "AdapterLayer", x: Tensor) -> bool:
        """Return True if tensors and settings are unchanged."""
        name = self.name
        if _settings(layer, x, name) != self.settings:
            return False
        for store, tensor in zip(self.stores, self.tensors, strict=True):
            if store.get(name) is not tensor:
                return False
        return [*map(_VERSION, self.tensors)] == self.versions and [
            *map(_ADDRESS, self.tensors)
        ] == self.addresses

    def added(self, x: Tensor, result: Tensor) -> Tensor | None:
        """Compute base output plus change, in the precision of the base."""
        if self.add is None:
            return None
        if x.dtype is torch.float32 and result.dtype is torch.float32:
            return self.add(x, result)
        after = self.add(x.to(torch.float32), result.to(torch.float32))
        return after.to(result.dtype)


_VERSION, _ADDRESS = operator.attrgetter("_version"), Tensor.data_ptr


def _stores(layer: "AdapterLayer", name: str) -> list[dict[str, Any]]:
    """Return the dictionaries that hold an adapter's tensors at a layer."""
    modules: list[Any] = [layer._modules[attribute] for attribute in layer.tensor_names]
    return [
        module._parameters if name in module._parameters else module._buffers
        for module in modules
        if name in module
    ]


def _is_plain(layer: "AdapterLayer", name: str, x: Tensor, tensors: list[Any]) -> bool:
    """Return True if the fast path supports the adapter at this layer.

    Unsupported are convolutions, methods that read the base, shared tensors of another layer,
    active dropout and float64.
    """
    return (
        not layer.owners.get(name)
        and not isinstance(layer.get_base_layer(), CONVOLUTIONS)
        and not layer.changes[name].reads_base()
        and not (layer.training and layer.dropouts[name])
        and x.dtype is not torch.float64
        and not any(t.is_meta or t.is_inference() or t.dtype is torch.float64 for t in tensors)
    )


def _settings(layer: "AdapterLayer", x: Tensor, name: str) -> tuple:
    """Return all non-tensor values that determine the change of a layer."""
    active = layer._active_adapter
    return (
        active if isinstance(active, str) else tuple(active),
        layer.training,
        x.dtype,
        x.device,
        layer.changes.get(name),
        layer.factors.get(name),
        layer.dropouts.get(name),
    )
