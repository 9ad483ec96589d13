"""A method that reads the base weight: ΔW = W ⊙ (B A), element by element, as HiRA has it.

A product with a matrix of full rank has full rank, at LoRA's number of parameters. The third
parameter
of `delta` is the layer as it was: `base.weight`, and `base.output` for the input at hand.

qtha-lab compare --plugins examples/hadamard.py --methods "lora(r=4),hadamard(r=4)" --steps 60
"""

import dataclasses

import torch

from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting


@dataclasses.dataclass
class HadamardConfig(AdapterConfig):
    """Settings of the Hadamard method."""

    r: int = setting(8, "Inner size of the matrix that is multiplied in.", ge=1, common=True)


@method(
    "hadamard",
    HadamardConfig,
    summary="Low-rank update multiplied into the frozen weight element by element.",
    equation="ΔW = W ⊙ (B A)",
    source="after HiRA, Huang et al., ICLR 2025",
    default_learning_rate=3e-3,
    examples={"small": {"r": 3}},
)
class Hadamard(Change):
    """Tensors and formula at one layer."""

    def n_parameters(self):
        return self.config.r * (self.layer.in_features + self.layer.out_features)

    def tensors(self):
        r = self.config.r
        return {
            "A": TensorSpec((r, self.layer.in_features)),
            "B": TensorSpec((self.layer.out_features, r)),
        }

    def initialise(self, tensors):
        torch.nn.init.kaiming_uniform_(tensors["A"], a=5**0.5)
        if self.config.init_weights:
            tensors["B"].zero_()
        else:
            torch.nn.init.kaiming_uniform_(tensors["B"], a=5**0.5)

    def delta(self, tensors, x, base):
        return torch.nn.functional.linear(x, self.delta_weight(tensors, base))

    def delta_weight(self, tensors, base):
        return base.weight * (tensors["B"] @ tensors["A"])
