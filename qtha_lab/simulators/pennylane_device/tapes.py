"""What a PennyLane tape asks of our engines: a circuit, its numbers, and what is read.

Every number on the tape becomes an angle: a single one a parameter, one with a batch an input. So the
circuit holds no value, and the tapes of one QNode share one compiled plan.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping

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

log = logging.getLogger(__name__)

NOTHING = ("Identity", "GlobalPhase", "Barrier")  # that no expectation and no probability sees
GateKey = tuple[str, tuple[int, ...], tuple[Angle, ...]]


def native_names() -> set[str]:
    """PennyLane's operations that are gates of ours, or none at all."""
    return {*NOTHING, *(name for name, kind in GATES.items() if kind.in_pennylane)}


def is_native(operation: Operator) -> bool:
    """Whether an operation is one of `native_names`."""
    name = operation.name
    return name in NOTHING or (name in GATES and GATES[name].in_pennylane)


def is_readable(measurement: MeasurementProcess) -> bool:
    """Whether our engines read it: an expectation of a sum of Pauli strings, or probabilities."""
    if isinstance(measurement, ExpectationMP):
        return sentence_of(measurement) is not None
    return isinstance(measurement, ProbabilityMP) and measurement.obs is None


def sentence_of(measurement: MeasurementProcess) -> Mapping | None:
    """The Pauli strings of an expectation with their factors; None where it is no such sum."""
    return getattr(measurement.obs, "pauli_rep", None)


@functools.cache
def holds(n_wires: int) -> bool:
    """Whether any of our engines takes a state of so many wires."""
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
class Reading:
    """A tape as our engines take it.

    Attributes:
        circuit: Its gates.
        inputs: Its numbers with a batch, (batch, n_inputs); one empty row where it has none.
        params: Its single numbers, (n_params,).
        sources: Of every number of the tape's operations, which angle it is: "input" or "param", and where.
        is_batched: Whether results have the batch in front.
        measurements: What is read.
        wires: The labels of wire 0, 1, ….
    """

    circuit: Circuit
    inputs: Tensor
    params: Tensor
    sources: tuple[tuple[str, int], ...]
    is_batched: bool
    measurements: tuple
    wires: tuple

    def values(self) -> list[Tensor]:
        """What each measurement gives, (batch, ...); differentiable in inputs and params."""
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
        """The Pauli strings of all expectations, each once."""
        sums = [sentence_of(m) for m in self.measurements if isinstance(m, ExpectationMP)]
        return list(dict.fromkeys(_key(word) for words in sums for word in words or ()))

    def _marginal(self, chances: Tensor, labels) -> Tensor:
        """The probabilities of some wires, in their order, from those of all."""
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


def read(tape: QuantumScript) -> Reading | None:
    """A tape for our engines; None where it holds what only PennyLane simulates."""
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
    return Reading(
        circuit,
        inputs[:, : circuit.n_inputs],
        params[: circuit.n_params],
        tuple(sources),
        bool(batched),
        tuple(tape.measurements),
        wires,
    )
