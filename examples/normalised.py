"""A head in one file: a linear map of the features, divided by their length.

qtha-lab compare --plugins examples/normalised.py --task supersense --methods "lora(r=4)" \
    --head "normalised(scale=5)" --steps 20
"""

import dataclasses

from torch import nn
from torch.nn.functional import normalize

from qtha_lab.plugins import Head, head, setting


class NormalisedLinear(nn.Module):
    """z = W (s · f / |f|) + b, zero at first."""

    def __init__(self, in_features, n_classes, scale):
        super().__init__()
        self.scale = scale
        self.out = nn.Linear(in_features, n_classes)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, features):
        """Compute logits, (rows, in_features) to (rows, n_classes)."""
        return self.out(self.scale * normalize(features, dim=-1))


@head(
    "normalised",
    summary="A linear map of the features, divided by their length.",
    equation="z = W (s f / |f|) + b",
    source="an example of this project",
)
@dataclasses.dataclass(frozen=True)
class Normalised(Head):
    """Settings of the head."""

    scale: float = setting(10.0, "Length of the features after the division.", gt=0)

    def module(self, in_features, n_classes):
        """Build the network, with equal initial logits for all classes."""
        return NormalisedLinear(in_features, n_classes, self.scale)

    def n_parameters(self, in_features, n_classes):
        """Count (d + 1) C parameters."""
        return (in_features + 1) * n_classes
