"""`QuantumLayer`, an `nn.Module` around `expval_z`, `probs` and `expval`."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.dispatch import What, request_of
from qtha_lab.simulators.engine_selection import check_engine
from qtha_lab.simulators.expval import expval, expval_z, probs


class QuantumLayer(nn.Module):
    """Quantum circuit as a network layer, with input angles and trainable angles.

    Inputs (..., n_inputs) give outputs (..., n_outputs) of the same dtype. float16 and bfloat16 are
    computed in float32, under autocast too. The layer works with state dicts, copies, pickle,
    DataParallel, DistributedDataParallel, torch.compile, torch.export and torch.func.

    Args:
        circuit: A `Circuit`, or the name of an ansatz (see `qtha_lab.circuits.ansatze.names()`); by
            default "qtha".
        n_qubits: Qubits of the ansatz; only with an ansatz name.
        n_layers: Repeated blocks of the ansatz; only with an ansatz name.
        readout: "z" for ⟨Z⟩ of every qubit, "probs" for the probability of every basis state, wires
            such as (0, 2) for ⟨Z⟩ of these, or Pauli strings such as ("Z0 Z1", "X2").
        engine: As for `expval_z`.
        device: Device of the parameters.
        dtype: Dtype of the parameters.
        options: Further options of the ansatz (see `ansatze.build`).

    Attributes:
        params: Trainable angles, (n_params,), in radians; initialised uniformly in -π … π.

    Raises:
        Refusal: If the ansatz, the read-out or the engine does not fit, or if sizes are passed
            together with a `Circuit`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> network = nn.Sequential(
        ...     nn.Linear(8, 4), QuantumLayer("qtha", n_qubits=4, n_layers=2), nn.Linear(4, 3)
        ... )
        >>> network(torch.randn(16, 8)).shape
        torch.Size([16, 3])
        >>> network[1]
        QuantumLayer('qtha', n_qubits=4, n_inputs=4, n_params=32, n_outputs=4,
                     readout='z', engine='auto')
        >>> QuantumLayer(n_qubits=4, n_layers=2)
        QuantumLayer('qtha', n_qubits=4, n_inputs=4, n_params=32, n_outputs=4,
                     readout='z', engine='auto')
    """

    params: Tensor

    def __init__(
        self,
        circuit: Circuit | str = "qtha",
        n_qubits: int | None = None,
        n_layers: int | None = None,
        *,
        readout: str | Sequence[int | str] = "z",
        engine: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.ansatz = circuit if isinstance(circuit, str) else None
        self.circuit = _circuit(circuit, n_qubits, n_layers, options)
        self.readout, self.engine = _what(readout), engine
        runs = request_of(self.circuit, self.readout).runs
        for run, read in runs:
            check_engine(engine, run, read)
        self.n_inputs = self.circuit.n_inputs
        self.n_outputs = sum(read.size(run.n_qubits) for run, read in runs)
        empty = torch.empty(self.circuit.n_params, device=device, dtype=dtype)
        self.params = nn.Parameter(empty)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the trainable angles uniformly in -π … π."""
        nn.init.uniform_(self.params, -math.pi, math.pi)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the read-out, (..., n_outputs), of the dtype of `inputs`.

        Args:
            inputs: (..., n_inputs), in radians; amplitudes for amplitude encoding.
        """
        if self.readout == "z":
            return expval_z(self.circuit, inputs, self.params, self.engine)
        if self.readout == "probs":
            return probs(self.circuit, inputs, self.params, self.engine)
        return expval(self.circuit, self.readout, inputs, self.params, self.engine)

    def extra_repr(self) -> str:
        """Return the text that `print(network)` shows for the layer."""
        name = f"{self.ansatz!r}, " if self.ansatz else ""
        sizes = f"n_qubits={self.circuit.n_qubits}, n_inputs={self.n_inputs}"
        sizes += f", n_params={self.params.numel()}, n_outputs={self.n_outputs}"
        return f"{name}{sizes}, readout={self.readout!r}, engine={self.engine!r}"


def _circuit(
    circuit: Circuit | str, n_qubits: int | None, n_layers: int | None, options: dict[str, Any]
) -> Circuit:
    if isinstance(circuit, str):
        if n_qubits is None or n_layers is None:
            raise Refusal(
                f"n_qubits and n_layers must be given for an ansatz, got {n_qubits}, {n_layers}. "
                f"Write QuantumLayer({circuit!r}, n_qubits=4, n_layers=2)."
            )
        return ansatze.build(circuit, n_qubits, n_layers, **options)
    if not isinstance(circuit, Circuit):
        raise Refusal(f"circuit must be a Circuit or the name of an ansatz, got {circuit!r}.")
    if n_qubits is not None or n_layers is not None or options:
        raise Refusal(
            "n_qubits, n_layers and options must go with an ansatz name, got them with a Circuit."
        )
    return circuit


def _what(readout: str | Sequence[int | str]) -> What:
    """Convert wires to Pauli strings; return "z" and "probs" unchanged."""
    if isinstance(readout, str):
        if readout not in ("z", "probs"):
            raise Refusal(
                "readout must be 'z', 'probs', wires such as (0, 2) or Pauli strings such as "
                f"('Z0 Z1',), got {readout!r}."
            )
        return readout
    return tuple(f"Z{part}" if isinstance(part, int) else part for part in readout)
