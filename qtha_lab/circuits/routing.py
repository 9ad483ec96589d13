"""Routing onto a chip: SWAPs bring the qubits of each two-qubit gate together.

A greedy router with look-ahead, from several initial layouts. Each layout is improved by routing
forward and backward. The order of the gates is kept; the result is not optimal.
"""

import dataclasses
import random
from collections.abc import Iterator

from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.topology import Topology

LOOK_AHEAD = 12  # two-qubit gates
ROUNDS = 3  # forward and backward passes from a layout
SHUFFLES = 8
_FADE = 0.7  # weight factor per further gate


@dataclasses.dataclass(frozen=True)
class Routed:
    """Routed circuit; `first` and `last` map its qubits to chip qubits.

    `first` holds the positions before the circuit, `last` those after it.
    """

    circuit: Circuit
    first: tuple[int, ...]
    last: tuple[int, ...]
    swaps: int


def route(circuit: Circuit, topology: Topology) -> Routed:
    """Insert SWAPs, from the tried layout that needs the fewest.

    Example:
        >>> triangle = Circuit(3, [Gate("CZ", wires) for wires in ((0, 1), (1, 2), (0, 2))])
        >>> routed = route(triangle, Topology.named("line", 3))
        >>> routed.swaps, routed.first, routed.last
        (1, (0, 1, 2), (1, 0, 2))

    Source:
        Forward and backward passes: SABRE, Li, Ding and Xie 2019, arXiv:1809.02573; the
        choice of swaps is simpler here [R].
    """
    backwards = Circuit(circuit.n_qubits, circuit.gates[::-1], circuit.start)
    best = None
    for first in _starts(topology, circuit.n_qubits):
        for _ in range(ROUNDS):
            routed = _from_layout(circuit, topology, first)
            if best is None or _cost(routed) < _cost(best):
                best = routed
            if best.swaps == 0:
                return best
            # final layout of the reversed circuit, routed from the end of this pass
            first = _from_layout(backwards, topology, routed.last).last
    if best is None:
        raise AssertionError("every topology has a layout")
    return best


def _starts(topology: Topology, n_qubits: int) -> Iterator[tuple[int, ...]]:
    """Yield the chip's own layouts, then shuffled layouts in a fixed order."""
    layouts = list(topology.layouts(n_qubits))
    yield from layouts
    shuffled = random.Random(0)
    for number in range(SHUFFLES):
        places = list(layouts[number % len(layouts)])
        shuffled.shuffle(places)
        yield tuple(places)


def _cost(routed: Routed) -> tuple[int, int]:
    return routed.swaps, routed.circuit.two_qubit_depth()


def _from_layout(circuit: Circuit, topology: Topology, first: tuple[int, ...]) -> Routed:
    place = list(first)
    gates: list[Gate] = []
    swaps = 0
    pairs = [gate.wires for gate in circuit.gates if len(gate.wires) == 2]
    n_pairs = 0
    for gate in circuit.gates:
        if len(gate.wires) == 2:
            while topology.distances[place[gate.wires[0]]][place[gate.wires[1]]] > 1:
                swap = _best_swap(topology, place, pairs[n_pairs : n_pairs + LOOK_AHEAD])
                gates.append(Gate("SWAP", swap))
                place = _swapped(place, swap)
                swaps += 1
            n_pairs += 1
        gates.append(dataclasses.replace(gate, wires=tuple(place[wire] for wire in gate.wires)))
    routed_circuit = Circuit(topology.n_qubits, gates)
    return Routed(routed_circuit, tuple(first), tuple(place), swaps)


def _best_swap(topology: Topology, place: list[int], pairs: list[tuple[int, ...]]):
    """Return the swap that brings the first pair nearer, and then the next pairs."""
    ends = [place[wire] for wire in pairs[0]]
    nearer = [
        (qubit, neighbour)
        for qubit, target in (ends, ends[::-1])
        for neighbour in topology.neighbours[qubit]
        if topology.distances[neighbour][target] < topology.distances[qubit][target]
    ]
    return min(nearer, key=lambda swap: _distance(topology, _swapped(place, swap), pairs))


def _distance(topology: Topology, place: list[int], pairs: list[tuple[int, ...]]) -> float:
    return sum(
        _FADE**number * topology.distances[place[a]][place[b]]
        for number, (a, b) in enumerate(pairs)
    )


def _swapped(place: list[int], swap: tuple[int, int]) -> list[int]:
    partner = {swap[0]: swap[1], swap[1]: swap[0]}
    return [partner.get(qubit, qubit) for qubit in place]
