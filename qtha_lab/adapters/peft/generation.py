"""The change of a layer for one token of each answer, while its tensors stay: most of such a call is overhead.

Within a scope of `products`, without gradients, a layer that is asked a second time works out what
depends on no token (`Change.at_rest`) and adds its change to the base's output in one product, as
long as tensors and settings are as they were. Everything else goes the way of every pass: prompts
and evaluations keep their bits.
"""

import dataclasses
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qtha_lab.adapters.method import AtRest
from qtha_lab.adapters.peft.base_layer import CONVOLUTIONS
from qtha_lab.adapters.peft.shared_products import scope_of, with_products

if TYPE_CHECKING:
    from qtha_lab.adapters.peft.layer import AdapterLayer

MOST_ROWS = 16  # answers at once; of more, products are the larger part


def with_change(layer: "AdapterLayer", x: Tensor, result: Tensor) -> Tensor | None:
    """The base's output plus the layer's change; None where it is to be made as in every pass.

    Args:
        layer: Which asks, with its adapters on.
        x: Its input.
        result: The base's output.
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
    if layer not in scope.at_rest:
        scope.at_rest[layer] = None  # one pass alone would not be worth it
        return None
    state = scope.at_rest[layer]
    if state is None or not state.fits(layer, x):
        state = scope.at_rest[layer] = _State.of(layer, x)
    return state.added(x, result)


@dataclasses.dataclass
class _State:
    """What was worked out, and the tensors and settings that it was worked out of.

    `add` is None where the layer's change is to be made as in every pass.
    """

    name: str
    settings: tuple
    add: AtRest | None
    stores: list[dict[str, Tensor]]
    tensors: list[Tensor]
    memory: list[Tensor]  # keeps it from being given to others, so that an address tells it
    versions: list[int]
    addresses: list[int]

    @classmethod
    def of(cls, layer: "AdapterLayer", x: Tensor) -> "_State":
        """Of a layer as it is."""
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
        add = layer.changes[name].at_rest(at_hand, layer.factors[name])
        memory = [tensor.detach() for tensor in tensors]
        versions, addresses = [*map(_VERSION, tensors)], [*map(_ADDRESS, tensors)]
        return cls(name, settings, add, stores, tensors, memory, versions, addresses)

    def fits(self, layer: "AdapterLayer", x: Tensor) -> bool:
        """Whether everything is as it was."""
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
        """The base's output plus the change, in the precision of the base."""
        if self.add is None:
            return None
        if x.dtype is torch.float32 and result.dtype is torch.float32:
            return self.add(x, result)
        after = self.add(x.to(torch.float32), result.to(torch.float32))
        return after.to(result.dtype)


_VERSION, _ADDRESS = operator.attrgetter("_version"), Tensor.data_ptr


def _stores(layer: "AdapterLayer", name: str) -> list[dict[str, Any]]:
    """The dictionaries in which the layer's tensors of an adapter are."""
    modules: list[Any] = [layer._modules[attribute] for attribute in layer.tensor_names]
    return [
        module._parameters if name in module._parameters else module._buffers
        for module in modules
        if name in module
    ]


def _is_plain(layer: "AdapterLayer", name: str, x: Tensor, tensors: list[Any]) -> bool:
    """Whether the change is one of rows in float32, by tensors of this layer alone."""
    return (
        not layer.owners.get(name)
        and not isinstance(layer.get_base_layer(), CONVOLUTIONS)
        and not layer.changes[name].reads_base()
        and not (layer.training and layer.dropouts[name])
        and x.dtype is not torch.float64
        and not any(t.is_meta or t.is_inference() or t.dtype is torch.float64 for t in tensors)
    )


def _settings(layer: "AdapterLayer", x: Tensor, name: str) -> tuple:
    """Of the layer, with the precision of its input: what decides on its change beside tensors."""
    active = layer._active_adapter
    return (
        active if isinstance(active, str) else tuple(active), layer.training, x.dtype, x.device,
        layer.changes.get(name), layer.factors.get(name), layer.dropouts.get(name),
    )  # fmt: skip
