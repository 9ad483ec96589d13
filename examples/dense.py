"""An engine in one file: the state of the circuit as one tensor with an axis per qubit.

qtha-lab compare --plugins examples/dense.py --methods "qtha(r=4,engine=dense)" --steps 20
"""

import torch

from qtha_lab.plugins import Refusal, engine

MOST_QUBITS = 12


@engine("dense", strength="a short engine to read", follows_tensors=True)
class Dense:
    """An engine: it refuses, runs, and states the memory that it needs."""

    def check(self, circuit, readout, name):
        """Refuse circuits and read-outs that `run` does not support."""
        if circuit.n_qubits > MOST_QUBITS:
            raise Refusal(
                f"Circuits of engine {name!r} must have at most {MOST_QUBITS} qubits, got "
                f"{circuit.n_qubits}."
            )
        if circuit.start != "zero" or readout.kind != "strings":
            raise Refusal(
                f"Engine {name!r} must have Z strings and circuits from |0…0⟩, got "
                f"{readout.kind} and {circuit.start}."
            )

    def run(self, circuit, inputs, params, readout, name):
        """Apply the parts of every gate, then weigh the probabilities with signs."""
        n = circuit.n_qubits
        dtype = torch.complex128 if inputs.dtype == torch.float64 else torch.complex64
        state = torch.zeros(len(inputs), *[2] * n, dtype=dtype, device=inputs.device)
        state[(slice(None), *[0] * n)] = 1
        for gate in circuit.gates:
            for kind, wires, angle in gate.parts():
                half = None if angle is None else 0.5 * angle.value(inputs, params)
                state = applied(state, kind, wires, half)
        probabilities = state.abs().square()
        values = [
            (probabilities * signs(string, n, inputs)).flatten(1).sum(1)
            for string in readout.strings
        ]
        return torch.stack(values, 1)

    def working_bytes(self, circuit, batch, name):
        """Return the bytes of three states."""
        return 3 * 8 * batch * 2**circuit.n_qubits


def signs(wires, n, like):
    """Return ±1 per basis state: the value of the Z string on these wires."""
    product = torch.ones([2] * n, dtype=like.dtype, device=like.device)
    for wire in wires:
        product = product * like.new_tensor([1.0, -1.0]).view(
            [2 if w == wire else 1 for w in range(n)]
        )
    return product


def applied(state, kind, wires, half):
    """Return the state after one part: a flip, a rotation about Y or about a Z string."""
    n = state.dim() - 1
    if kind == "X":
        return state.flip(1 + wires[0])
    if kind == "CNOT":
        rest, flipped = state.split(1, 1 + wires[0])
        return torch.cat([rest, flipped.flip(1 + wires[1])], 1 + wires[0])
    half = torch.as_tensor(half, dtype=state.real.dtype, device=state.device)
    half = half.reshape(-1, *[1] * n)
    if kind == "Z":
        return state * torch.exp(-1j * half * signs(wires, n, half))
    turned = state.flip(1 + wires[0]) * signs(wires, n, half)
    return torch.cos(half) * state - torch.sin(half) * turned
