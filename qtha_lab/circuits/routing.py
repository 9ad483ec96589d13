"""Routing onto a chip: SWAPs bring the qubits of each two-qubit gate together.

A greedy router with look-ahead, from several initial layouts. Each layout is improved by routing
forward and backward. The order of the gates is kept; the result is not optimal.

Also initial layouts of a circuit's qubits; `routing` moves them.
"""

import dataclasses
import functools
import itertools
import random
import re
from collections.abc import Iterator

from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate
from qtha_lab.core.errors import Refusal

TOPOLOGIES = ("line", "ring", "grid", "all-to-all")
GRID = (4, 5)  # 20 qubits, as in the noise model of QTHA's authors; its shape is ours [R]
MOST_QUBITS = 1024  # limit of a grid: steps between all pairs of qubits are tabulated
_SEARCHED = 20_000


@dataclasses.dataclass(frozen=True)
class Topology:
    """Chip topology: its name and the neighbours of every qubit.

    Example:
        >>> grid = Topology.named("grid", 6)
        >>> grid.n_qubits, grid.neighbours[6], grid.distances[0][19]
        (20, (1, 5, 7, 11), 7)
    """

    name: str
    neighbours: tuple[tuple[int, ...], ...]
    columns: int = 0

    @property
    def n_qubits(self) -> int:
        """Number of qubits of the chip; a circuit may use fewer."""
        return len(self.neighbours)

    @classmethod
    def named(cls, name: str, n_qubits: int) -> "Topology":
        """Return a chip for a circuit; "line", "ring" and "all-to-all" have its size.

        Args:
            name: One of `TOPOLOGIES`, or a grid of another size, as in "grid:3x4".
            n_qubits: Qubits of the circuit.

        Raises:
            Refusal: If the chip is unknown or too small.
        """
        grid = re.fullmatch(r"grid(?::([1-9]\d{,9})x([1-9]\d{,9}))?", str(name))
        if grid:
            rows, columns = (int(grid[1]), int(grid[2])) if grid[1] else GRID
            if rows * columns < n_qubits:
                raise Refusal(
                    f"topology must have at least the circuit's {n_qubits} qubits, got "
                    f"{rows * columns} in "
                    f"{name!r}. Choose a larger one, such as 'grid:6x6'."
                )
            if rows * columns > MOST_QUBITS:
                raise Refusal(
                    f"topology must have at most {MOST_QUBITS:,} qubits, got {rows * columns:,} "
                    f"in {name!r}."
                )
            pairs = itertools.combinations(range(rows * columns), 2)
            edges = [(a, b) for a, b in pairs if b - a == columns or (b == a + 1 and b % columns)]
            return cls(str(name), _neighbours(rows * columns, edges), columns)
        if name not in TOPOLOGIES:
            raise Refusal(
                f"topology must be one of {', '.join(TOPOLOGIES)} or as 'grid:3x4', got {name!r}."
            )
        if name == "all-to-all":
            edges = list(itertools.combinations(range(n_qubits), 2))
        else:
            edges = [(a, a + 1) for a in range(n_qubits - 1)]
            edges += [(0, n_qubits - 1)] if name == "ring" and n_qubits > 2 else []
        return cls(name, _neighbours(n_qubits, edges))

    @functools.cached_property
    def distances(self) -> tuple[tuple[int, ...], ...]:
        """Steps between every two qubits."""
        return tuple(_distances_from(start, self.neighbours) for start in range(self.n_qubits))

    def layouts(self, n_qubits: int) -> Iterator[tuple[int, ...]]:
        """Yield initial layouts, [qubit of the circuit] → qubit of the chip.

        Layouts are a row (a snake on a grid), and a row folded in two, so that the ends of a ring
        are neighbours. A grid also has squares (for blocks of four) and a closed loop, if one is
        found.
        """
        row = self._row()[:n_qubits]
        yield tuple(row)
        folded = [0] * n_qubits
        for place, qubit in enumerate(range(0, n_qubits, 2)):
            folded[place] = row[qubit]
        for place, qubit in enumerate(range(1, n_qubits, 2)):
            folded[n_qubits - 1 - place] = row[qubit]
        yield tuple(folded)
        if self.columns:
            yield tuple(self._squares()[:n_qubits])
            loop = self._loop(n_qubits + n_qubits % 2)
            if loop:
                yield tuple(loop[:n_qubits])

    def _row(self) -> list[int]:
        if not self.columns:
            return list(range(self.n_qubits))
        rows = [range(a, a + self.columns) for a in range(0, self.n_qubits, self.columns)]
        return [q for number, row in enumerate(rows) for q in (row[::-1] if number % 2 else row)]

    def _squares(self) -> list[int]:
        """Order qubits in bands of two rows, so that four in sequence form a square."""
        order: list[int] = []
        for band, top in enumerate(range(0, self.n_qubits, 2 * self.columns)):
            columns = range(self.columns)
            for number, column in enumerate(columns[::-1] if band % 2 else columns):
                pair = [q for q in (top + column, top + column + self.columns) if q < self.n_qubits]
                order += pair[::-1] if number % 2 else pair
        return order

    def _loop(self, length: int) -> list[int] | None:
        """Find a closed path of the given length on the chip, depth first.

        Returns None if none is found within the search limit.
        """
        steps = 0
        walks = [[0]]
        while walks and steps < _SEARCHED:
            steps += 1
            walk = walks.pop()
            if len(walk) == length:
                if 0 in self.neighbours[walk[-1]] and length > 2:
                    return walk
                continue
            onward = (q for q in self.neighbours[walk[-1]] if q not in walk)
            within = (q for q in onward if self.distances[q][0] <= length - len(walk))
            walks += [[*walk, q] for q in within]
        return None


def _neighbours(n_qubits: int, edges: list[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    neighbours: list[list[int]] = [[] for _ in range(n_qubits)]
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    return tuple(tuple(sorted(numbers)) for numbers in neighbours)


def _distances_from(start: int, neighbours: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    distances = {start: 0}
    reached = [start]
    for qubit in reached:  # grows during the loop
        for other in neighbours[qubit]:
            if other not in distances:
                distances[other] = distances[qubit] + 1
                reached.append(other)
    return tuple(distances[qubit] for qubit in range(len(neighbours)))


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
