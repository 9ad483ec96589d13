"""One QTHA circuit of the benchmark: its arrays for any number of samples, and what must come out.

The answer comes from PennyLane's default.qubit in float64, for a few samples that stand among the
others; gradients are checked with an output gradient that is zero for all others, so that the
gradients of a whole batch have a known answer too.
"""

from pathlib import Path

import numpy as np
import torch

from benchmarks.contenders import Case, Found
from qtha_lab.circuits.ansatze import build
from qtha_lab.simulators import expval_z

CHECKED = 4  # samples of every batch whose answer is known
TOLERANCE = 1e-4  # float32, relative to the largest entry where that is above 1


class Problem:
    """The QTHA circuit on `n_qubits` with `n_layers`, as .npy files under `folder`."""

    def __init__(self, n_qubits: int, n_layers: int, folder: Path):
        self.n_qubits, self.n_layers, self.folder = n_qubits, n_layers, folder
        self.random = np.random.default_rng([n_qubits, n_layers])
        self.params = self._draw(n_layers, 4, n_qubits)
        self.inputs, self.grads = self._draw(CHECKED, n_qubits), self._draw(CHECKED, n_qubits)
        self.right = self._answer()

    def case(self, samples: int) -> Case:
        """The files of a batch of random samples, with the checked ones among them."""
        folder = self.folder / f"{self.n_qubits}-{self.n_layers}-{samples}"
        if not folder.exists():
            folder.mkdir(parents=True)
            inputs, grads = self._draw(samples, self.n_qubits), self._draw(samples, self.n_qubits)
            sparse, rows = np.zeros_like(grads), checked_rows(samples)
            inputs[rows], sparse[rows] = self.inputs, self.grads
            arrays = {"inputs": inputs, "params": self.params, "grads": grads}
            for name, array in {**arrays, "sparse_grads": sparse}.items():
                np.save(folder / f"{name}.npy", array)
        return Case(self.n_qubits, self.n_layers, samples, folder)

    def differences(self, answers: Found, samples: int) -> dict[str, float]:
        """The largest errors of values and both gradients, relative where the answer is above 1."""
        rows = checked_rows(samples)
        read = (answers[0][rows], answers[1][rows], answers[2])
        scales = (max(1.0, float(abs(right).max())) for right in self.right)
        errors = (float(abs(a - b).max()) for a, b in zip(read, self.right, strict=True))
        names = ("values", "input gradients", "parameter gradients")
        return {n: e / s for n, e, s in zip(names, errors, scales, strict=True)}

    def _draw(self, *shape: int) -> np.ndarray:
        return self.random.uniform(-np.pi, np.pi, shape).astype(np.float32)

    def _answer(self) -> Found:
        circuit = build("qtha", self.n_qubits, self.n_layers)
        arrays = (self.inputs, self.params.reshape(-1), self.grads)
        inputs, params, grads = (torch.from_numpy(array).double() for array in arrays)
        inputs.requires_grad_(), params.requires_grad_()
        values = expval_z(circuit, inputs, params, engine="device:default.qubit")
        of_inputs, of_params = torch.autograd.grad(values, (inputs, params), grads)
        shaped = of_params.reshape(self.params.shape)
        return values.detach().numpy(), of_inputs.numpy(), shaped.numpy()


def checked_rows(samples: int) -> np.ndarray:
    """Where the checked samples stand: spread over the batch, first and last included."""
    return np.linspace(0, samples - 1, CHECKED).round().astype(int)
