"""A method in one file: LoRA with a trained diagonal between its factors, Δy = s · B diag(d) A x.

qtha-lab compare --plugins examples/diagonal.py --methods "lora,diagonal(r=4)" --steps 60
"""

import dataclasses

import torch

from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting


@dataclasses.dataclass
class DiagonalConfig(AdapterConfig):
    """Settings of the diagonal method."""

    r: int = setting(8, "Bottleneck size.", ge=1)
    alpha: float = setting(16.0, "Scaling: the change is times alpha / r.", gt=0)


@method(
    "diagonal",
    DiagonalConfig,
    summary="LoRA with a trained diagonal between its factors.",
    equation="Δy = s·B diag(d) A x",
    source="an example of this project",
    default_learning_rate=3e-3,
    examples={"small": {"r": 3}},
)
class Diagonal(Change):
    """Tensors and formula at one layer."""

    def n_parameters(self):
        return self.config.r * (self.layer.in_features + self.layer.out_features + 1)

    def tensors(self):
        r = self.config.r
        return {
            "A": TensorSpec((r, self.layer.in_features)),
            "d": TensorSpec((r,)),
            "B": TensorSpec((self.layer.out_features, r)),
        }

    def initialise(self, tensors):
        torch.nn.init.kaiming_uniform_(tensors["A"], a=5**0.5)
        tensors["d"].fill_(1)
        if self.config.init_weights:
            tensors["B"].zero_()
        else:
            torch.nn.init.kaiming_uniform_(tensors["B"], a=5**0.5)

    def delta(self, tensors, x):
        scale = self.config.alpha / self.config.r
        return scale * (x @ tensors["A"].mT * tensors["d"]) @ tensors["B"].mT
