"""A compiled circuit as the tables of integers that engine `cpu`'s kernel reads.

Knows nothing of threads, tensors in motion or derivatives.
"""

import functools

import numpy as np

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu import kernel
from qtha_lab.simulators.cpu.vectors import BYTES
from qtha_lab.simulators.program import Phases, Program, Sum, Turn, Turns, compile_circuit

PASS_WIDTH = 20  # numbers that say what a pass does


class Plan:
    """The tables of one circuit.

    A sum is the angle of a turn or phase; a term is one scaled input, the same for all sums that
    read it. `tables(lanes, itemsize)` is what `kernel.walk` takes:

    * passes: kind, where its rows are, groups of four rows, layer of phases, four turns or -1, and
      where the shears of these are in `room`; or kind, mask and where its cosines are;
    * the rows of every pass;
    * turns: sum, number of the angle that differs between samples, the last if none, and place of ⟨Z⟩
      that is read behind it, or -1;
    * such angles: sum whose shared part it has, whether of a turn; where their terms are, and which;
    * input and row of every term, and scale;
    * number and row of everything read, and sign; the rows are those of probabilities or, for strings
      of Z, of their transform, or of what is read behind the last turns;
    * input and row of every amplitude of the start, if not |0…0⟩, and scale.
    """

    def __init__(self, circuit: Circuit, readout: Readout):
        program = compile_circuit(circuit, readout)
        self.n_values, self.n_params = readout.size(circuit.n_qubits), circuit.n_params
        self.n_qubits = max(2, circuit.n_qubits)  # a pass takes four rows
        self.n_amplitudes = 2**circuit.n_qubits if circuit.start == "amplitudes" else 0
        self._sums: list[Sum] = []
        self._phases: list[tuple[int, int, int]] = []  # (layer, mask, sum)
        self._passes: list[tuple[int, ...]] = []
        self._rows: list[np.ndarray] = []
        self._angles: list[tuple[int, int, tuple]] = []  # (sum, whether of a turn, terms)
        # the first is no turn at all: it fills up a pass, and its sum is the sum of nothing
        self._turns: list[tuple[int, int, int]] = [
            (sum(len(x.angles) for x in program.layers), -1, -1)
        ]
        self.reads_behind = _reads_behind(program, readout)
        self._add_layers(program)
        self.n_layers = 1 + max((layer for layer, *_ in self._phases), default=-1)
        self.n_sums = len(self._sums)
        self.offsets = np.array([*(total.offset for total in self._sums), 0.0])
        entries = [(j, i, s) for j, t in enumerate(self._sums) for i, s in t.params]
        self.entries = _integers([e[:2] for e in entries], 2)
        self.scales = np.array([e[2] for e in entries], np.float64)
        self.phase_places = _integers(self._phases, 3)
        self.reads_strings = readout.kind == "strings"
        self._fixed = (*self._tables_of_angles(), *self._tables_of_ends(program, readout))
        self.tables = functools.cache(self._tables)
        self.places = functools.cache(self._places)

    def _tables_of_angles(self) -> tuple[np.ndarray, ...]:
        """Rows, turns, angles that differ between samples, and terms."""
        numbers: dict[tuple[int, float], int] = {}
        terms = [
            [numbers.setdefault(t, len(numbers)) for t in angle_terms]
            for *_, angle_terms in self._angles
        ]
        self.n_terms = len(numbers)
        return (
            np.concatenate([np.zeros(0, np.int64), *(rows.ravel() for rows in self._rows)]),
            _integers([(j, a if a >= 0 else len(terms), read) for j, a, read in self._turns], 3),
            _integers([angle[:2] for angle in self._angles], 2),
            np.cumsum([0, *map(len, terms), 0], dtype=np.int64),
            np.array([number for angle_terms in terms for number in angle_terms], np.int64),
            _integers([(i, 3 * row) for row, (i, _) in enumerate(numbers)], 2),
            np.array([scale for _, scale in numbers], np.float64),
        )

    def _tables_of_ends(self, program: Program, readout: Readout) -> tuple:
        """What is read, from which rows; which rows the start fills."""
        read = _readout(program, readout)
        places = {mask: place for place, mask in enumerate(self.reads_behind)}
        return (
            _integers([(i, places.get(row, row)) for i, (row, _) in enumerate(read)], 2),
            np.array([sign for _, sign in read], np.float64),
            self.reads_strings,
            _integers([(k, k) for k in range(self.n_amplitudes)], 2),
            np.ones(self.n_amplitudes),
        )

    def _places(self, lanes: int, itemsize: int) -> tuple[int, ...]:
        """Where things are in `room` (see `kernel`), the numbers in a vector, and the end.

        ψ, its second plane, the shears of turns that the batch shares and of others, slopes of a pass,
        ⟨Z⟩ behind the last turns, and terms.
        """
        vector = BYTES // itemsize
        plane = (2**self.n_qubits + 1) * lanes  # a row more: rows of all planes differ in cache
        shared = 4 * plane
        sampled = shared + 2 * len(self._turns) * vector
        slopes = sampled + 2 * len(self._angles) * lanes
        reads = slopes + 16 * lanes
        terms = reads + len(self.reads_behind) * lanes
        end = terms + 3 * self.n_terms * lanes
        return 0, plane, shared, sampled, slopes, reads, terms, vector, end

    def _tables(self, lanes: int, itemsize: int) -> tuple:
        _, _, shared, sampled, *_, vector, _ = self.places(lanes, itemsize)
        ops = []
        for kind, first, second, layer, *turns in self._passes:
            if kind == kernel.PHASE_SAMPLED:
                second = sampled + 2 * second * lanes
            where: list[int] = []
            for turn in turns:
                angle = self._turns[turn][1]
                if angle < 0:
                    where += [shared + 2 * turn * vector, vector, 0]
                else:
                    where += [sampled + 2 * angle * lanes, lanes, -1]
            ops.append((kind, first, second, layer, *(turn or -1 for turn in turns), *where))
        return _integers(ops, PASS_WIDTH), *self._fixed

    def _add_layers(self, program: Program) -> None:
        """Turns in twos. Phases go with two turns after them, and with the same two before them."""
        layers = [(layer, self._numbered(layer)) for layer in program.layers]
        phases: int | None = None  # a layer of shared phases that is still to be done
        before: list[Turn] = []  # turns that are still to be done, together with it
        before_numbers: dict[Turn, int] = {}
        for position, (layer, numbers) in enumerate(layers):
            self._at_last = position == len(layers) - 1
            if isinstance(layer, Phases):
                phases = self._add_phases(numbers)
                continue
            left = list(layer.angles)
            if position == 0:
                self._add_first_turns(left, numbers, program.start)
                continue
            if phases is not None:
                after = before or left[:2]
                self._add_pass(before, phases, after, before_numbers, numbers)
                left = [turn for turn in left if turn not in after]
            next_turns = self._next_turns(layers, position)
            before = [turn for turn in left if turn in next_turns][-2:]
            phases, before_numbers = None, numbers
            left = [turn for turn in left if turn not in before]
            for at in range(0, len(left), 2):
                self._add_pass(left[at : at + 2], None, [], numbers, {})

    def _next_turns(self, layers: list, position: int) -> list[Turn]:
        """Turns of the next layer if only shared phases are in between."""
        if position + 2 >= len(layers):
            return []
        (between, numbers), (after, _) = layers[position + 1 : position + 3]
        if isinstance(between, Turns) or not any(self._is_shared(j) for j in numbers.values()):
            return []
        sampled = any(self._sums[j].inputs for j in numbers.values())
        return [] if sampled else list(after.angles)

    def _numbered(self, layer) -> dict:
        """The number of the sum of every turn or phase of a layer."""
        first = len(self._sums)
        self._sums += layer.angles.values()
        return {op: first + i for i, op in enumerate(layer.angles)}

    def _is_shared(self, j: int) -> bool:
        return bool(self._sums[j].params or self._sums[j].offset)

    def _add_phases(self, numbers: dict[int, int]) -> int | None:
        """Phases that differ between samples, now; the layer of the others, which are still to do."""
        for mask, j in numbers.items():
            if self._sums[j].inputs:
                nothing = self._turns[0][0]
                self._angles.append((nothing, 0, self._sums[j].inputs))
                self._turns.append((nothing, len(self._angles) - 1, -1))  # as if of a turn
                op = (kernel.PHASE_SAMPLED, mask, len(self._angles) - 1)
                self._passes.append((*op, 0, len(self._turns) - 1, 0, 0, 0))
        shared = [(mask, j) for mask, j in numbers.items() if self._is_shared(j)]
        if not shared:
            return None
        layer = 1 + max((layer for layer, *_ in self._phases), default=-1)
        self._phases += [(layer, mask, j) for mask, j in shared]
        return layer

    def _add_pass(
        self, before: list[Turn], phases: int | None, after: list[Turn], first: dict, second: dict
    ) -> None:
        """Turns, a layer of phases, turns; the sums of the turns are in `first` and `second`."""
        kind = kernel.TURNS
        if phases is not None:
            kind = kernel.TURNS_PHASES_TURNS if before else kernel.PHASES_TURNS
        if self._at_last and self.reads_behind:
            kind += kernel.READ
        pair = _filled(before or after, self.n_qubits)
        groups = _groups(pair, np.arange(2**self.n_qubits))
        turns = self._add_turns(before, first) + self._add_turns(after, second)
        self._append(kind, groups, phases or 0, turns)

    def _add_first_turns(self, turns: list[Turn], numbers: dict, start: str) -> None:
        """From |0…0⟩ few rows are reached at first; these and amplitudes are real."""
        reached, at = np.zeros(1, np.int64), 0
        while at < len(turns):
            chosen = turns[at : at + 2 - (len(turns) - at) % 2]  # one alone, if any, at the start
            rows = reached if start == "zero" else np.arange(2**self.n_qubits)
            groups = _groups(_filled(chosen, self.n_qubits), rows)
            self._append(kernel.REAL_TURNS, groups, 0, self._add_turns(chosen, numbers))
            reached = groups[:, : 2 ** len(chosen)].ravel()
            at += len(chosen)

    def _add_turns(self, turns: list[Turn], numbers: dict[Turn, int]) -> list[int]:
        for turn in turns:
            j, angle = numbers[turn], -1
            if self._sums[j].inputs:
                angle = len(self._angles)
                self._angles.append((j, 1, self._sums[j].inputs))
            read = (
                self.reads_behind.index(turn.zmask) if self._at_last and self.reads_behind else -1
            )
            self._turns.append((j, angle, read))
        added = range(len(self._turns) - len(turns), len(self._turns))
        return [*added, *[0] * (len(turns) % 2)]

    def _append(self, kind: int, groups: np.ndarray, layer: int, turns: list[int]) -> None:
        turns = turns + [0] * (4 - len(turns))
        place = sum(rows.size for rows in self._rows)
        self._passes.append((kind, place, len(groups), layer, *turns))
        self._rows.append(groups)

    def work(self, backward: bool, itemsize: int) -> tuple[float, float]:
        """Operations, and bytes loaded and stored, of one sample; see `roofline`.

        A turn is 3 multiply-adds for every pair of numbers of a state, which is real at first, a phase
        2 for every number; backward both are undone on two states, and their slopes cost 2 and 1 more. To read
        behind a turn takes 3 for every row, as |ψ|² does, and backward 4 more of each.
        """
        size = 2**self.n_qubits
        flops, moved = (
            (0.0, 0.0) if self.reads_behind else (3.0 * size, 3.0 * size)
        )  # |ψ|², or λ = g ψ
        if self.reads_strings and not self.reads_behind:
            flops, moved = flops + self.n_qubits * size, moved + self.n_qubits * size
        for kind, _, groups, _, *turns in self._passes:
            if kind == kernel.PHASE_SAMPLED:
                rows, n_turns, n_read = size, 0, 0
            else:
                rows, n_turns, n_read = 4 * groups, sum(map(bool, turns)), 0
            if kind >= kernel.READ:
                n_read = sum(map(bool, turns[2 * (kind == kernel.TURNS_PHASES_READ) :]))
                flops += (7 + 7 * n_read if backward else 3 + 3 * n_read) * rows
            planes = 1 if kind == kernel.REAL_TURNS else 2
            flops += planes * (8 if backward else 3) * (n_turns - n_read) * rows
            if kind not in (kernel.TURNS, kernel.REAL_TURNS, kernel.READ):
                flops += (2 * 8 + 4 if backward else 8) * rows
            moved += planes * (4 if backward else 2) * rows - (
                2 * rows if kind == kernel.READ else 0
            )
        return flops, moved * itemsize


def _readout(program: Program, readout: Readout) -> list[tuple[int, int]]:
    """Row and sign of every number that is read."""
    if readout.kind == "strings":
        return list(program.readout)
    return [(row, 1) for row in np.argsort(program.basis_states()).tolist()]


def _reads_behind(program: Program, readout: Readout) -> list[int]:
    """Masks of the last turns, if all that is read is Z of one of them: U†ZU is cos a Z - sin a X.

    They need not be done then, and backward not undone; otherwise nothing.
    """
    if readout.kind != "strings" or len(program.layers) < 2:
        return []
    last = program.layers[-1]
    masks = [turn.zmask for turn in last.angles] if isinstance(last, Turns) else []
    return masks if all(mask in masks for mask, _ in program.readout) else []


def _integers(rows, width: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, width)


def _filled(turns: list[Turn], n_qubits: int) -> list[Turn]:
    """Two turns: if there is but one, any other that acts as on another wire."""
    if len(turns) == 2:
        return turns
    (turn,) = turns
    others = (Turn(f, z) for f in range(1, 2**n_qubits) for z in range(1, 2**n_qubits))
    return [
        turn,
        next(o for o in others if o.is_independent_of(turn) and (o.flip & o.zmask).bit_count() % 2),
    ]


def _groups(turns: list[Turn], rows: np.ndarray) -> np.ndarray:
    """Those of the rows that are on side 0 of both turns, each with the three it is mixed with."""
    first, second = turns
    for turn in turns:
        rows = rows[np.bitwise_count(rows & turn.zmask) % 2 == 0]
    flips = np.array([0, first.flip, second.flip, first.flip ^ second.flip])
    return rows[:, None] ^ flips


@functools.lru_cache(maxsize=64)
def plan(circuit: Circuit, readout: Readout | None = None) -> Plan:
    """The tables of a circuit and a readout (default: Z of every wire), made once."""
    return Plan(circuit, readout or Readout.z(circuit.n_qubits))
