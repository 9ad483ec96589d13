"""Lossless one-line JSON text of a circuit and of a readout.

For containers that hold only numbers and text, such as the graphs of torch.compile and
torch.export. `draw` writes text for people, `qasm` text for other programs.
"""

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.readout import Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, shortened


@functools.lru_cache(maxsize=256)
def circuit_text(circuit: Circuit) -> str:
    """Serialise a circuit completely.

    Example:
        >>> text = circuit_text(Circuit(1, [Gate("RY", 0, Angle.input(0))]))
        >>> text
        '{"n_qubits":1,"start":"zero","gates":[["RY",[0],[["input",0,1.0,0.0]],null]]}'
        >>> print(circuit_of(text).draw())
        0: ──RY(x0)─┤
    """
    gates = [
        [gate.name, gate.wires, [_numbers(angle) for angle in gate.angles], _pairs(gate.matrix)]
        for gate in circuit.gates
    ]
    return _line({"n_qubits": circuit.n_qubits, "start": circuit.start, "gates": gates})


@functools.lru_cache(maxsize=256)
def circuit_of(text: str) -> Circuit:
    """Parse a circuit from the text of `circuit_text`.

    Raises:
        Refusal: If the text is no such text.
    """
    content = parse_json(text)
    with _refused("a circuit"):
        gates = [
            Gate(name, wires, [Angle(*numbers) for numbers in angles], _matrix(pairs))
            for name, wires, angles, pairs in content["gates"]
        ]
        return Circuit(content["n_qubits"], gates, content["start"])


def readout_text(readout: Readout) -> str:
    """Serialise a readout completely.

    Example:
        >>> readout_text(Readout.z(2))
        '["strings",[[0],[1]]]'
    """
    return _line([readout.kind, readout.strings])


@functools.lru_cache(maxsize=256)
def readout_of(text: str) -> Readout:
    """Parse a readout from the text of `readout_text`.

    Raises:
        Refusal: If the text is no such text.
    """
    content = parse_json(text)
    with _refused("a readout"):
        kind, strings = content
        return Readout(kind, tuple(map(tuple, strings)))


@contextlib.contextmanager
def _refused(kind: str) -> Iterator[None]:
    try:
        yield
    except Refusal:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as problem:
        raise Refusal(
            f"The text must be that of {kind}, got {shortened(type(problem).__name__)}: "
            f"{shortened(problem)}."
        ) from None


def _line(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def _numbers(angle: Angle) -> tuple:
    factors = (angle.factors,) if angle.is_product else ()
    weights = (angle.weights,) if angle.weights else ()
    return angle.source, angle.index, angle.scale, angle.offset, *factors, *weights


def _pairs(matrix: Any) -> list | None:
    """Return the real and imaginary part of every entry."""
    return matrix and [[(entry.real, entry.imag) for entry in row] for row in matrix]


def _matrix(pairs: list | None) -> list | None:
    return pairs and [[complex(*pair) for pair in row] for row in pairs]
