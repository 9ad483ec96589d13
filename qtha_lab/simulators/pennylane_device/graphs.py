"""Autograd graphs of executed tapes, found by tape and numbers instead of a hash.

PennyLane copies a tape between its forward and its backward pass, but not its measurements. So a
graph belongs to the first measurement by identity, and is dropped with it. A measurement that
several tapes share has the graph of the last; the numbers decide whether it is this tape's.

Every number of the tape becomes an angle: a scalar becomes a parameter, a batch an input. So the
circuit holds no values, and the tapes of one QNode share one compiled plan.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pennylane import math
from pennylane.measurements import ExpectationMP, MeasurementProcess, ProbabilityMP
from pennylane.operation import Operator
from pennylane.tape import QuantumScript
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.gate_kinds import GATES
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.engine_selection import check_engine
from qtha_lab.simulators.expval import expval, probs


@dataclass(frozen=True)
class TapeGraph:
    """Results of a tape, differentiable in the leaves `inputs` and `params`."""

    inputs: Tensor
    params: Tensor
    values: list[Tensor]

    @classmethod
    def of(cls, request: TapeRequest) -> TapeGraph:
        """Compute the results of a tape with their graph."""
        with torch.enable_grad():
            request.inputs.requires_grad_()
            request.params.requires_grad_()
            return cls(request.inputs, request.params, request.values())


class TapeGraphs:
    """Graphs of the tapes whose measurements exist. A copy of a device starts without any."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref, tuple, TapeGraph]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self):
        return TapeGraphs, ()

    def compute(self, request: TapeRequest) -> TapeGraph:
        """Compute the graph of a tape, and keep it while its first measurement exists."""
        first = request.measurements[0]
        kept, key = self._kept, id(first)
        reference = weakref.ref(first, lambda _: kept.pop(key, None))
        graph = TapeGraph.of(request)
        kept[key] = reference, _fixed(request), graph
        return graph

    def of(self, request: TapeRequest) -> TapeGraph:
        """Return the graph of a tape: the kept one, or a new one."""
        first, kept = request.measurements[0], self._kept.get(id(request.measurements[0]))
        if kept is None:
            return self.compute(request)
        reference, fixed, graph = kept
        same = (
            reference() is first
            and fixed == _fixed(request)
            and torch.equal(graph.inputs, request.inputs)
            and torch.equal(graph.params, request.params)
        )
        return graph if same else self.compute(request)


def _fixed(request: TapeRequest) -> tuple:
    """Return a tape without its numbers, and without references to its measurements."""
    return (
        request.circuit,
        request.sources,
        request.is_batched,
        request.wires,
        tuple(map(_plain, request.measurements)),
    )


def _plain(measurement: MeasurementProcess) -> tuple:
    """Return a measurement as numbers and names."""
    sentence = sentence_of(measurement) or {}
    terms = tuple((tuple(word.items()), complex(factor)) for word, factor in sentence.items())
    return type(measurement), tuple(measurement.wires), terms


log = logging.getLogger(__name__)

NOTHING = ("Identity", "GlobalPhase", "Barrier")  # no effect on expectations and probabilities
GateKey = tuple[str, tuple[int, ...], tuple[Angle, ...]]


def native_names() -> set[str]:
    """Return the names of PennyLane operations that are supported gates or have no effect."""
    return {*NOTHING, *(name for name, kind in GATES.items() if kind.in_pennylane)}


def is_native(operation: Operator) -> bool:
    """Return True if an operation is one of `native_names`."""
    name = operation.name
    return name in NOTHING or (name in GATES and GATES[name].in_pennylane)


def is_readable(measurement: MeasurementProcess) -> bool:
    """Return True if engines support a measurement.

    Supported are expectation values of sums of Pauli strings, and probabilities.
    """
    if isinstance(measurement, ExpectationMP):
        return sentence_of(measurement) is not None
    return isinstance(measurement, ProbabilityMP) and measurement.obs is None


def sentence_of(measurement: MeasurementProcess) -> Mapping | None:
    """Return the Pauli strings of an expectation with their factors, or None."""
    return getattr(measurement.obs, "pauli_rep", None)


@functools.cache
def holds(n_wires: int) -> bool:
    """Return True if any engine supports a state of `n_wires` wires."""
    try:
        check_engine("auto", Circuit(n_wires, []))
    except Refusal as reason:
        log.debug("default.qubit takes %d wires: %s", n_wires, reason)
        return False
    return True


@functools.lru_cache(maxsize=256)
def _circuit(n_qubits: int, gates: tuple[GateKey, ...]) -> Circuit:
    return Circuit(n_qubits, [Gate(name, wires, angles) for name, wires, angles in gates])


@dataclasses.dataclass(frozen=True)
class TapeRequest:
    """Tape in the form of the engines.

    Attributes:
        circuit: Gates of the tape.
        inputs: Batched numbers, (batch, n_inputs); one empty row without batched numbers.
        params: Scalar numbers, (n_params,).
        sources: "input" or "param", and index, of every number of the tape's operations.
        is_batched: Whether results have a leading batch axis.
        measurements: Measurements of the tape.
        wires: Labels of wire 0, 1, ….
    """

    circuit: Circuit
    inputs: Tensor
    params: Tensor
    sources: tuple[tuple[str, int], ...]
    is_batched: bool
    measurements: tuple
    wires: tuple

    def values(self) -> list[Tensor]:
        """Compute the result of each measurement, (batch, ...), differentiable in both tensors."""
        words = self._words()
        table: dict[tuple, Tensor] = {}
        if words:
            texts = [_text(word, self.wires) for word in words]
            columns = expval(self.circuit, texts, self.inputs, self.params)
            table = dict(zip(words, columns.unbind(-1), strict=True))
        chances = None
        results = []
        for measurement in self.measurements:
            if isinstance(measurement, ExpectationMP):
                terms = [
                    float(np.real(factor)) * table[_key(word)]
                    for word, factor in (sentence_of(measurement) or {}).items()
                ]
                results.append(
                    torch.stack([self.inputs.new_zeros(len(self.inputs)), *terms]).sum(0)
                )
            else:
                if chances is None:
                    chances = probs(self.circuit, self.inputs, self.params)
                results.append(self._marginal(chances, measurement.wires))
        return results

    def _words(self) -> list[tuple]:
        """Return the distinct Pauli strings of all expectation values."""
        sums = [sentence_of(m) for m in self.measurements if isinstance(m, ExpectationMP)]
        return list(dict.fromkeys(_key(word) for words in sums for word in words or ()))

    def _marginal(self, chances: Tensor, labels) -> Tensor:
        """Compute the probabilities of some wires, in their order, from those of all wires."""
        n = len(self.wires)
        places = [self.wires.index(label) for label in labels] or list(range(n))
        rest = [wire for wire in range(n) if wire not in places]
        order = [0, *(1 + wire for wire in places), *(1 + wire for wire in rest)]
        cube = chances.reshape(-1, *(2,) * n).permute(order)
        return cube.reshape(len(chances), 2 ** len(places), -1).sum(-1)


def _key(word) -> tuple:
    return tuple(sorted(word.items(), key=lambda item: str(item[0])))


def _text(key: tuple, wires: tuple) -> str:
    return " ".join(f"{letter}{wires.index(label)}" for label, letter in key) or "I"


def request_of_tape(tape: QuantumScript) -> TapeRequest | None:
    """Convert a tape for the engines; return None if only PennyLane can simulate it."""
    if tape.shots or not tape.measurements or not all(map(is_readable, tape.measurements)):
        return None
    if not all(map(is_native, tape.operations)):
        return None
    wires = tuple(tape.wires)
    if not wires or not holds(len(wires)):
        return None
    sources: list[tuple[str, int]] = []
    batched: list[np.ndarray] = []
    single: list[float] = []
    gates: list[GateKey] = []
    for operation in tape.operations:
        angles = []
        for number in operation.parameters:
            array = np.asarray(math.to_numpy(number), dtype=float)
            if array.ndim:
                sources.append(("input", len(batched)))
                angles.append(Angle.input(len(batched)))
                batched.append(array)
            else:
                sources.append(("param", len(single)))
                angles.append(Angle.param(len(single)))
                single.append(float(array))
        if operation.name not in NOTHING:
            places = tuple(wires.index(label) for label in operation.wires)
            gates.append((operation.name, places, tuple(angles)))
    circuit = _circuit(len(wires), tuple(gates))
    inputs = torch.from_numpy(np.stack(batched, -1)) if batched else torch.zeros(1, 0).double()
    params = torch.tensor(single, dtype=torch.float64)
    return TapeRequest(
        circuit,
        inputs[:, : circuit.n_inputs],
        params[: circuit.n_params],
        tuple(sources),
        bool(batched),
        tuple(tape.measurements),
        wires,
    )
