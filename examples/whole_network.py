"""Quantum-Train as published: one circuit for the whole network, whose outputs become all layers'
weights.

    the m weights of all adapted layers in ⌈m / c⌉ chunks of c, one per basis state of N qubits
    chunk i = G(bits of i as ±1, 2^N p_i),    p_i = |⟨i|ψ(params)⟩|²,    G = linear layers N+1 → 4 →
    20 → 4 → c

Our own `quantum_train` has a circuit per layer; here every tensor is shared and a layer takes its
part of
the list of weights. Each layer that is reached runs the circuit for itself: one run per layer and
step.

qtha-lab compare --plugins examples/whole_network.py --methods "lora(r=4),whole_network" --steps 60
"""

import dataclasses
import itertools
import math

import torch

from qtha_lab.plugins import (
    AdapterConfig,
    Angle,
    Change,
    Circuit,
    Gate,
    Refusal,
    TensorSpec,
    method,
    probs,
    setting,
)  # fmt: skip

MOST_QUBITS = 20


@dataclasses.dataclass
class WholeNetworkConfig(AdapterConfig):
    """Settings of Quantum-Train over a whole network."""

    chunk: int = setting(64, "Weights per basis state.", ge=1, common=True)
    n_layers: int = setting(4, "Blocks of RY and CNOT in the circuit.", ge=1, common=True)
    hidden: tuple = setting((4, 20, 4), "Widths of the linear layers from bits to weights.")
    engine: str = setting("auto", "What simulates the circuit.")

    def __post_init__(self):
        super().__post_init__()
        if not self.hidden or any(not isinstance(width, int) or width < 1 for width in self.hidden):
            raise Refusal(f"hidden must list whole numbers of at least 1, got {self.hidden!r}.")


@method(
    "whole_network",
    WholeNetworkConfig,
    summary="The weights of all layers from the probabilities of one circuit.",
    equation="(ΔW₁, ΔW₂, …) = G(bits, p), one circuit for all layers",
    source=(
        "Quantum-Train, Liu et al. 2024, arXiv:2405.11304; 4-20-4 as in a public Quantum-Train"
        " code [R]"
    ),
    default_learning_rate=1e-2,
    examples={"small": {"chunk": 20, "n_layers": 2, "hidden": (5,)}},
)
class WholeNetwork(Change):
    """Tensors of the network, and the part of its weights that is one layer's."""

    def __init__(self, config, layer):
        super().__init__(config, layer)
        counts = [n * m for n, m in layer.sizes]
        self.start_at, self.n_weights = sum(counts[: layer.index]), counts[layer.index]
        self.n_qubits = max(1, (math.ceil(sum(counts) / config.chunk) - 1).bit_length())
        if self.n_qubits > MOST_QUBITS:
            least = math.ceil(sum(counts) / 2**MOST_QUBITS)
            raise Refusal(
                f"chunk must be at least {least} for {sum(counts):,} weights in all, got "
                f"{config.chunk}."
            )  # fmt: skip

    def circuits(self):
        angles, gates = map(Angle.param, range(self.n_qubits * self.config.n_layers)), []
        for _ in range(self.config.n_layers):
            gates += [Gate("RY", wire, next(angles)) for wire in range(self.n_qubits)]
            gates += [Gate("CNOT", (wire, wire + 1)) for wire in range(self.n_qubits - 1)]
        return [Circuit(self.n_qubits, gates)]

    def n_parameters(self):
        return 0  # of the layer's own

    def tensors(self):
        return {}

    def shared_tensors(self):
        widths = [self.n_qubits + 1, *self.config.hidden, self.config.chunk]
        specs = {"params": TensorSpec((self.n_qubits * self.config.n_layers,))}
        for k, (before, after) in enumerate(itertools.pairwise(widths)):
            specs |= {f"W_{k}": TensorSpec((after, before)), f"b_{k}": TensorSpec((after,))}
        return specs

    def initialise(self, tensors):
        pass

    def initialise_shared(self, tensors):
        tensors["params"].uniform_(-math.pi, math.pi)
        last = len(self.config.hidden)
        for k in range(last + 1):
            bound = tensors[f"W_{k}"].shape[1] ** -0.5  # as torch's Linear begins
            for name in (f"W_{k}", f"b_{k}"):
                tensors[name].uniform_(-bound, bound)
                if k == last and self.config.init_weights:
                    tensors[name].zero_()

    def delta_weight(self, tensors):
        chunk, (circuit,) = self.config.chunk, self.circuits()
        params = tensors["params"]
        first, last = self.start_at // chunk, math.ceil((self.start_at + self.n_weights) / chunk)
        states = torch.arange(first, last, device=params.device)
        bits = states.unsqueeze(1) >> torch.arange(self.n_qubits - 1, -1, -1, device=params.device)
        p = 2**self.n_qubits * probs(circuit, params.new_empty(0), params, self.config.engine)
        values = torch.cat([2.0 * (bits & 1) - 1, p[first:last].unsqueeze(1)], 1)
        for k in range(len(self.config.hidden) + 1):
            values = values @ tensors[f"W_{k}"].mT + tensors[f"b_{k}"]
        weights = values.flatten()
        offset = self.start_at - first * chunk
        return weights[offset : offset + self.n_weights].view(self.layer.out_features, -1)

    def delta(self, tensors, x):
        return torch.nn.functional.linear(x, self.delta_weight(tensors))
