"""A method whose layers share tensors: ΔW = diag(b) B diag(d) A, A and B random, frozen and the
same everywhere.

As VeRA has it: of the pair A, B, which fits the widest layer, every layer takes the rows and
columns it
needs, and trains two vectors. `shared_tensors` are stored, saved and counted once for the whole
model.

qtha-lab compare --plugins examples/shared_projections.py --methods "lora(r=4),shared_projections"
--steps 60
"""

import dataclasses

import torch

from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting


@dataclasses.dataclass
class SharedProjectionsConfig(AdapterConfig):
    """Settings of the method with shared projections."""

    r: int = setting(64, "Inner size of the shared random matrices.", ge=1, common=True)
    d_initial: float = setting(0.1, "Start of the trained vector between them.", gt=0)


@method(
    "shared_projections",
    SharedProjectionsConfig,
    summary="Two frozen random matrices for all layers, two trained vectors per layer.",
    equation="ΔW = diag(b) B diag(d) A, A and B frozen and shared",
    source="after VeRA, Kopiczko et al. 2023, arXiv:2310.11454",
    default_learning_rate=1e-2,
    examples={"small": {"r": 5}},
)
class SharedProjections(Change):
    """Tensors and formula at one layer."""

    def n_parameters(self):
        return self.config.r + self.layer.out_features

    def tensors(self):
        return {
            "d": TensorSpec((self.config.r,)),
            "b": TensorSpec((self.layer.out_features,)),
        }

    def shared_tensors(self):
        widest_in, widest_out = map(max, zip(*self.layer.sizes, strict=True))
        return {
            "A": TensorSpec((self.config.r, widest_in), trainable=False),
            "B": TensorSpec((widest_out, self.config.r), trainable=False),
        }

    def initialise_shared(self, tensors):
        for tensor in tensors.values():
            torch.nn.init.kaiming_uniform_(tensor, a=5**0.5)

    def initialise(self, tensors):
        tensors["d"].fill_(self.config.d_initial)
        if self.config.init_weights:
            tensors["b"].zero_()
        else:
            tensors["b"].normal_()

    def delta(self, tensors, x):
        down = tensors["A"][:, : self.layer.in_features]
        up = tensors["B"][: self.layer.out_features]
        return tensors["b"] * ((x @ down.mT * tensors["d"]) @ up.mT)
