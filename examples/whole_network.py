"""Quantum-Train as published: one circuit for the whole network, whose outputs become all layers' weights.

    the m weights of all adapted layers in ⌈m / c⌉ chunks of c, one per basis state of N qubits
    chunk i = W₂ tanh(W₁ (bits of i as ±1, 2^N p_i) + b₁) + b₂,    p_i = |⟨i|ψ(params)⟩|²

Our own `quantum_train` has a circuit per layer; here every tensor is shared and a layer takes its part of
the list of weights. Each layer that is reached runs the circuit for itself: one run per layer and step.

qtha-lab compare --plugins examples/whole_network.py --methods "lora(r=4),whole_network" --steps 60
"""

import dataclasses
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
    hidden: int = setting(16, "Width of the network from bits to weights.", ge=1)
    engine: str = setting("auto", "What simulates the circuit.")


@method(
    "whole_network",
    WholeNetworkConfig,
    summary="The weights of all layers from the probabilities of one circuit.",
    equation="(ΔW₁, ΔW₂, …) = G(bits, p), one circuit for all layers",
    source="Quantum-Train, Liu et al. 2024, arXiv:2405.11304",
    default_learning_rate=1e-2,
    examples={"small": {"chunk": 20, "n_layers": 2, "hidden": 5}},
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
            raise Refusal(f"chunk must be at least {least} for {sum(counts):,} weights in all, "
                          f"not {config.chunk}: it would take {self.n_qubits} qubits")  # fmt: skip

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
        shapes = {
            "params": (self.n_qubits * self.config.n_layers,),
            "W_1": (self.config.hidden, self.n_qubits + 1),
            "b_1": (self.config.hidden,),
            "W_2": (self.config.chunk, self.config.hidden),
            "b_2": (self.config.chunk,),
        }
        return {name: TensorSpec(shape) for name, shape in shapes.items()}

    def initialise(self, tensors):
        pass

    def initialise_shared(self, tensors):
        tensors["params"].uniform_(-math.pi, math.pi)
        for name in ("W_1", "b_1", "W_2", "b_2"):
            tensors[name].normal_(std=tensors[name].shape[-1] ** -0.5)
        if self.config.init_weights:
            tensors["W_2"].zero_()
            tensors["b_2"].zero_()

    def delta_weight(self, tensors):
        chunk, (circuit,) = self.config.chunk, self.circuits()
        params = tensors["params"]
        first, last = self.start_at // chunk, math.ceil((self.start_at + self.n_weights) / chunk)
        states = torch.arange(first, last, device=params.device)
        bits = states.unsqueeze(1) >> torch.arange(self.n_qubits - 1, -1, -1, device=params.device)
        p = 2**self.n_qubits * probs(circuit, params.new_empty(0), params, self.config.engine)
        features = torch.cat([2.0 * (bits & 1) - 1, p[first:last].unsqueeze(1)], 1)
        hidden = torch.tanh(features @ tensors["W_1"].mT + tensors["b_1"])
        weights = (hidden @ tensors["W_2"].mT + tensors["b_2"]).flatten()
        offset = self.start_at - first * chunk
        return weights[offset : offset + self.n_weights].view(self.layer.out_features, -1)

    def delta(self, tensors, x):
        return torch.nn.functional.linear(x, self.delta_weight(tensors))
