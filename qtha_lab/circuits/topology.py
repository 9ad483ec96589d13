"""Chip topologies: line, ring, square grid or all-to-all.

Also initial layouts of a circuit's qubits; `routing` moves them.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator

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
