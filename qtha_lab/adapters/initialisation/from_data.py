"""Data-dependent initialisation from the gradients and inputs of training rows.

Before the first step, collects the gradient of the loss at each adapted layer and a sample of its
inputs. Both are passed to the method. The model's weights and random state stay unchanged.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.adapters.peft.layer import AdapterLayer

MOST_INPUTS = 256  # input rows per layer, for their scale


@dataclass
class LayerSample:
    """Gradient and inputs of one layer for some training rows.

    Attributes:
        gradient: Gradient of the loss in the layer's weight, summed over the rows: Σ (∂L/∂y) xᵀ.
        inputs: Sample of the inputs x.
    """

    gradient: Float[Tensor, "out_features in_features"]
    inputs: Float[Tensor, "samples in_features"]


@dataclass
class _Collector:
    """Collector of gradients and inputs at one layer."""

    layer: AdapterLayer
    gradient: Tensor | None = None
    inputs: list[Tensor] = field(default_factory=list)

    def listen(self, module: nn.Module, arguments: tuple, output: Tensor) -> None:
        """Record inputs, and register a hook for the output gradient (forward hook)."""
        from qtha_lab.adapters.peft.config import inputs_of, output_rows

        base = cast(nn.Module, self.layer.get_base_layer())
        x = inputs_of(arguments[0].detach(), base).flatten(0, -2).float()
        count = sum(map(len, self.inputs))
        self.inputs.append(x[: MOST_INPUTS - count])

        def add(gradient: Tensor) -> None:
            change = output_rows(gradient, base).flatten(0, -2).float().mT @ x
            self.gradient = change if self.gradient is None else self.gradient + change

        output.register_hook(add)

    def sample(self) -> LayerSample:
        """Return the collected sample."""
        if self.gradient is None or not torch.isfinite(self.gradient).all():
            raise Refusal(
                "The training rows of start_rows must give a finite gradient, got another. Set "
                "start_rows to 0."
            )
        return LayerSample(self.gradient, torch.cat(self.inputs))


def leading_directions(samples: Sequence[LayerSample], r: int) -> Float[Tensor, "r in_features"]:
    """Compute initial rows of A: scaled leading right singular vectors of the gradients.

    Returns:
        Orthogonal rows of equal norm, with root mean square 1 of A x over the sampled inputs.
    """
    gradients = torch.cat([sample.gradient.double() for sample in samples])
    directions = torch.linalg.svd(gradients, full_matrices=True).Vh[:r]
    inputs = torch.cat([sample.inputs.double() for sample in samples])
    rms = (inputs @ directions.mT).square().mean().sqrt()
    return directions / rms.clamp_min(1e-12)


def initialisation_rows(config: Any) -> int:
    """Return the number of rows that a config's initialisation reads; 0 for most."""
    return getattr(config, "rows_to_start", getattr(config, "start_rows", 0))


def initialise_from_rows(
    model: nn.Module, batches: Iterable[Mapping[str, Tensor]], adapter: str = "default"
) -> None:
    """Initialise the adapters of a model from training rows.

    Layers that receive no token keep their initial values.

    Args:
        model: Model with adapters; only methods whose initialisation reads rows are changed.
        batches: Model inputs with labels, from a collator.
        adapter: Name of the adapter.

    Raises:
        Refusal: If the rows give no finite gradient.
    """
    from qtha_lab.adapters.peft.layer import AdapterLayer

    layers = [m for m in model.modules() if isinstance(m, AdapterLayer) and adapter in m.changes]
    layers = [layer for layer in layers if initialisation_rows(layer.changes[adapter].config)]
    if not layers:
        return
    collectors = [_Collector(layer) for layer in layers]
    hooks = [c.layer.register_forward_hook(c.listen) for c in collectors]
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            device = next(model.parameters()).device
            model(**{name: tensor.to(device) for name, tensor in batch.items()}).loss.backward()
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)
        for hook in hooks:
            hook.remove()
    called = [collector for collector in collectors if collector.inputs]
    _give(adapter, called or collectors)


@torch.no_grad()
def _give(adapter: str, collectors: list[_Collector]) -> None:
    """Pass each layer its sample.

    Layers that share their input side receive the samples of all of them, once.
    """
    together: dict[Hashable, list[_Collector]] = {}
    for collector in collectors:
        key = collector.layer.changes[adapter].sampled_with()
        together.setdefault(key, []).append(collector)
    for members in together.values():
        layer = members[0].layer
        samples = [collector.sample() for collector in members]
        layer.changes[adapter].start_from(layer.adapter_tensors(adapter), samples)
