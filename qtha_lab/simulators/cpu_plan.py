"""A compiled circuit as the tables of integers that engine `cpu`'s kernel reads.

Knows nothing of threads, tensors in motion or derivatives.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators import cpu_kernel as kernel
from qtha_lab.simulators.program import Phases, Program, Sum, Turn, compile_circuit

TURNS_A_PASS = 2


class Plan:
    """The tables of one circuit.

    A sum is the angle of a turn or phase; a term is one scaled input, the same for all sums that
    read it. `tables` is what `kernel.walk` takes: ops (kind and six numbers), rows of every pass,
    sum and angle of every turn, sum and terms of every angle that differs between samples, and row
    and sign of every number read, from the probabilities or, for strings of Z, their transform.
    """

    def __init__(self, circuit: Circuit, readout: Readout):
        program = compile_circuit(circuit, readout)
        self.n_values = readout.size(circuit.n_qubits)
        self.n_qubits = circuit.n_qubits
        self.n_amplitudes = 2**circuit.n_qubits if circuit.start == "amplitudes" else 0
        self.phase_sums: list[list[tuple[int, int]]] = []  # of a layer: (mask, its sum)
        self._sums: list[Sum] = []
        self._ops: list[tuple[int, ...]] = []
        self._rows: list[int] = []
        self._turns: list[tuple[int, int]] = []  # (sum, angle)
        self._angles: list[tuple[int, tuple]] = []  # (sum whose shared part it has or -1, terms)
        for number, layer in enumerate(program.layers):
            numbered = {op: len(self._sums) + i for i, op in enumerate(layer.angles)}
            self._sums += layer.angles.values()
            if isinstance(layer, Phases):
                self._add_phases(numbered)
            else:
                self._add_turns(numbered, number == 0, program.start)
        self.n_sums = len(self._sums)
        self.offsets = np.array([*(total.offset for total in self._sums), 0.0])
        entries = [(j, i, s) for j, t in enumerate(self._sums) for i, s in t.params]
        self.entry_sums, self.entry_params = _integers([e[:2] for e in entries], 2).T
        self.entry_scales = np.array([e[2] for e in entries], np.float64)
        numbers: dict[tuple[int, float], int] = {}
        terms = [[numbers.setdefault(t, len(numbers)) for t in found] for _, found in self._angles]
        self.terms = list(numbers)  # (input, scale)
        self.slopes_are_of_inputs = bool(self.n_amplitudes) or self.terms == [
            (i, 1.0) for i in range(circuit.n_inputs)
        ]
        places = _integers(
            [(i, m, j) for i, found in enumerate(self.phase_sums) for m, j in found], 3
        )
        self.phase_places, self.sums_of_phases = (places[:, 0], places[:, 1]), places[:, 2]
        turns = _integers(self._turns, 2)
        self.tables = (
            _integers(self._ops, 7),
            np.array(self._rows, np.int64),
            turns[:, 0].copy(),
            turns[:, 1].copy(),
            np.array([j for j, _ in self._angles], np.int64),
            np.cumsum([0, *map(len, terms)], dtype=np.int64),
            np.array([number for found in terms for number in found], np.int64),
            _integers(_readout(program, readout), 2),
            readout.kind == "strings",
        )

    @functools.cached_property
    def term_tensors(self) -> tuple[Tensor, Tensor]:
        """Input, (terms,), and scale, (terms, 1), of every term."""
        index = torch.tensor([i for i, _ in self.terms], dtype=torch.long)
        return index, torch.tensor([s for _, s in self.terms], dtype=torch.float64).reshape(-1, 1)

    def _add_angle(self, j: int, with_shared: bool) -> int:
        self._angles.append((j if with_shared else -1, self._sums[j].inputs))
        return len(self._angles) - 1

    def _add_phases(self, numbered: dict[int, int]) -> None:
        sums = self._sums
        shared = [(m, j) for m, j in numbered.items() if sums[j].params or sums[j].offset]
        if shared:
            self._ops.append((kernel.PHASE_SHARED, len(self.phase_sums), 0, 0, 0, 0, 0))
            self.phase_sums.append(shared)
        for mask, j in numbered.items():
            if sums[j].inputs:
                angle = self._add_angle(j, with_shared=False)
                self._ops.append((kernel.PHASE_SAMPLED, 0, mask, angle, 0, 0, 0))

    def _add_turns(self, numbered: dict[Turn, int], is_first: bool, start: str) -> None:
        """Passes of two turns. The first layer meets a real state, |0…0⟩ of few rows at first."""
        from_zero = is_first and start == "zero"
        reached = [0]
        for sampled in (False, True):
            turns = [t for t, j in numbered.items() if bool(self._sums[j].inputs) == sampled]
            for at in range(0, len(turns), TURNS_A_PASS):
                chosen = turns[at : at + TURNS_A_PASS]
                groups = _groups(chosen, reached, self.n_qubits)
                forward_groups = len(reached) if from_zero else len(groups)
                kind = kernel.TURN_SAMPLED if sampled else kernel.TURN_SHARED
                places = (len(chosen), len(self._rows), len(self._turns))
                planes = 1 if is_first else 2
                self._ops.append((kind, *places, forward_groups, len(groups), planes))
                self._rows += [row for group in groups for row in group]
                for j in (numbered[turn] for turn in chosen):
                    angle = self._add_angle(j, with_shared=True) if sampled else 0
                    self._turns.append((j, angle))
                reached = [row for group in groups[: len(reached)] for row in group]

    def work(self, backward: bool, itemsize: int) -> tuple[float, float]:
        """Operations, and bytes loaded and stored, of one sample; see `cpu_roofline`.

        A turn is 3 multiply-adds for every pair of numbers of a state, a phase 2 for every number;
        backward both are undone on two states, and their slopes cost 2 and 1 more.
        """
        size = 2**self.n_qubits
        flops, moved = 3.0 * size, 3.0 * size  # |ψ|², or λ = g ψ
        if self.tables[-1]:  # the transform, two wires a time at best
            flops, moved = flops + self.n_qubits * size, moved + self.n_qubits * size
        for kind, n_turns, *_, forward_groups, groups, planes in self._ops:
            if kind >= kernel.PHASE_SHARED:
                flops += (2 * 8 + 4 if backward else 8) * size
                moved += (8 if backward else 4) * size
                continue
            numbers = planes * 2**n_turns * (groups if backward else forward_groups)
            flops += (8 if backward else 3) * n_turns * numbers
            moved += (4 if backward else 2) * numbers
        return flops, moved * itemsize

    def shared_angles(self, params: np.ndarray) -> np.ndarray:
        """The part of every sum that the batch shares, and a zero, (sums + 1,)."""
        angles = self.offsets.copy()
        np.add.at(angles, self.entry_sums, self.entry_scales * params[self.entry_params])
        return angles

    def shared_numbers(self, angles: np.ndarray) -> np.ndarray:
        """Cosine and sine of half of every angle, and its shears, (sums + 1, 4)."""
        cos, sin = np.cos(0.5 * angles), np.sin(0.5 * angles)
        inner = np.where(cos < 0, -sin, sin)
        return np.stack([cos, sin, -inner / (1.0 + np.abs(cos)), inner], -1)

    def phase_numbers(self, angles: np.ndarray) -> np.ndarray:
        """Cosine and sine of every row's phase, (layers of shared phases, 2, 2^n)."""
        phases = np.zeros((len(self.phase_sums), 2**self.n_qubits))
        phases[self.phase_places] = 0.5 * angles[self.sums_of_phases]
        kernel.walsh(phases)
        return np.stack([np.cos(phases), np.sin(phases)], 1)

    def param_slopes(self, sums: np.ndarray, phases: np.ndarray, n_params: int) -> np.ndarray:
        """What is known of sums and of phases, collected for every parameter, (n_params,)."""
        kernel.walsh(phases)
        sums[self.sums_of_phases] = phases[self.phase_places]
        slopes = np.zeros(n_params)
        np.add.at(slopes, self.entry_params, self.entry_scales * sums[self.entry_sums])
        return slopes


def _readout(program: Program, readout: Readout) -> list[tuple[int, int]]:
    """Row and sign of every number that is read."""
    if readout.kind == "strings":
        return list(program.readout)
    row_of = {state: row for row, state in enumerate(program.basis_states())}
    return [(row_of[state], 1) for state in range(len(row_of))]


def _integers(rows, width: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, width)


def _groups(turns: list[Turn], reached: list[int], n_qubits: int) -> list[list[int]]:
    """Rows that the turns mix, those of `reached` rows first; bit t of a place is its side of turn t."""
    first = dict.fromkeys(reached)
    groups = []
    for row in [*first, *(row for row in range(2**n_qubits) if row not in first)]:
        if any((row & turn.zmask).bit_count() % 2 for turn in turns):
            continue
        group = [row]
        for turn in turns:
            group += [member ^ turn.flip for member in group]
        groups.append(group)
    return groups


@functools.lru_cache(maxsize=64)
def plan(circuit: Circuit, readout: Readout | None = None) -> Plan:
    """The tables of a circuit and a readout (default: Z of every wire), made once."""
    return Plan(circuit, readout or Readout.z(circuit.n_qubits))
