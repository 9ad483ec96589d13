"""Tables of integers of a compiled circuit for the kernel of engine `cpu`.

Excludes threads, data and derivatives.
"""

import functools
import itertools

import numpy as np

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu.pass_list import KINDS, READ, SAMPLED, SCALED, PassList
from qtha_lab.simulators.cpu.records import (
    PASS_WIDTH,
    ROTATION_WIDTH,
    Flags,
    Places,
    SharedTables,
    Sizes,
)
from qtha_lab.simulators.cpu.vectors import BYTES
from qtha_lab.simulators.program import Program, compile_circuit


class KernelPlan:
    """Tables of one circuit.

    A sum is the angle of a rotation or phase; a term is one scaled input, shared by all sums that
    use it. `tables(lanes, itemsize)` returns two arrays for `kernel.run_blocks`: integers; scales,
    signs and angles. They are only two because every argument costs time. The integers start with
    the bounds of the following tables (see `records`):

    * passes: kind, position of its rows, number of groups of four or eight rows, layer of phases,
      four rotations or -1, and the position of their shears in the workspace; or kind, mask and
      position of cosines; then the position of the product of cosines, and whether λ is 0;
    * positions of the rows of every pass;
    * rotations: sum; number of the angle that differs between samples, or past the last if none;
      position of ⟨Z⟩ after it; row for its gradient if it has one term; row of the gradient's
      factor (each or -1); whether it has several terms; first of its numbers in the table of sums;
    * angles that differ between samples (see `sample_angles.make_angles`);
    * per scaled layer of these: its first angle in execution order, and the number of angles;
    * bounds of the terms of each angle, then these terms;
    * input and row of every term;
    * number and row of every read-out value; rows are probabilities or, for Z-strings, their
      transform, or ⟨Z⟩ after the final rotations;
    * input and row of every initial amplitude, unless the circuit starts in |0…0⟩;
    * `records.Flags`, `records.Sizes` and `records.Places`;
    * the integers of `shared_tables`, in order.

    Attributes:
        passes: Passes over the rows of the state.
        shared_tables: Input of `angles.shared_numbers`.
        n_numbers: Count of numbers that all samples share.
    """

    def __init__(self, circuit: Circuit, readout: Readout):
        program = compile_circuit(circuit, readout)
        self.passes = steps = PassList(program, readout)
        self.n_values, self.n_params = readout.size(circuit.n_qubits), circuit.n_params
        self.n_inputs, self.n_qubits = circuit.n_inputs, steps.n_qubits
        self.n_amplitudes = 2**circuit.n_qubits if circuit.start == "amplitudes" else 0
        self.n_layers, self.n_sums = steps.n_layers, len(steps.sums)
        self.n_numbers = 6 * (self.n_sums + 1) + self.n_layers * (6 * 2**self.n_qubits + 1) + 1
        entries = [(j, i, s) for j, total in enumerate(steps.sums) for i, s in total.params]
        self.shared_tables = SharedTables(
            offsets=np.array([*(total.offset for total in steps.sums), 0.0]),
            scaled=_integers(steps.scaled, 2),
            entries=_integers([e[:2] for e in entries], 2),
            scales=np.array([e[2] for e in entries], np.float64),
            phases=_integers(steps.phases, 3),
            orders=_integers([rows for _, rows in sorted(steps.orders.items())], 2**self.n_qubits),
        )
        self.rows = np.concatenate([np.zeros(0, np.int64), *(rows.ravel() for rows in steps.rows)])
        self.reads_strings = readout.kind == "strings"
        self._integers = (
            *self._tables_of_angles(),
            *self._tables_of_ends(program, circuit, readout),
        )
        of_ends = self._term_scales, self._signs, np.ones(self.n_amplitudes)
        shared = self.shared_tables
        self._numbers = np.concatenate([*of_ends, shared.offsets, shared.scales])
        self.tables = functools.cache(self._tables)
        self.places = functools.cache(self._places)

    def _tables_of_angles(self) -> tuple[np.ndarray, ...]:
        """Return the tables of rows, scaled layers, term bounds, members and terms."""
        numbers: dict[tuple[int, float], int] = {}
        terms = [
            [numbers.setdefault(t, len(numbers)) for t in angle_terms]
            for *_, angle_terms in self.passes.angles
        ]
        self.n_terms, self._term_numbers = len(numbers), numbers
        self._term_scales = np.array([scale for _, scale in numbers], np.float64)
        self._term_links = _integers([(i, 3 * row) for row, (i, _) in enumerate(numbers)], 2)
        layers = self.passes.sampled_layers
        return (
            self.rows,
            _integers([(of_layer[0], len(of_layer)) for of_layer in layers], 2),
            np.cumsum([0, *map(len, terms), 0], dtype=np.int64),
            np.array([*itertools.chain.from_iterable(terms)], np.int64),
            self._term_links,
        )

    def _tables_of_ends(self, program: Program, circuit: Circuit, readout: Readout) -> tuple:
        """Return the tables of read-outs, initial amplitudes and flags."""
        values = _readout_rows(program, readout)
        places = {mask: place for place, mask in enumerate(self.passes.final_rotations)}
        self._signs = np.array([sign for _, sign in values], np.float64)
        kinds = [each.kind for each in self.passes.passes]
        links = _integers([(i, places.get(row, row)) for i, (row, _) in enumerate(values)], 2)
        flags = Flags(
            is_strings=self.reads_strings,
            is_all_inputs=_is_whole(self._term_links, circuit.n_inputs),
            is_all_values=_is_whole(links, self.n_values),
            fills_real=not self.passes.fills_state,
            fills_imag=not any("o" in KINDS[kind] for kind in kinds),
            ends_with_readout=next((kind for kind in reversed(kinds) if kind != READ), 0) > READ,
        )
        amplitudes = _integers([(k, k) for k in range(self.n_amplitudes)], 2)
        return links, amplitudes, np.array(flags, np.int64)

    def _places(self, lanes: int, itemsize: int) -> Places:
        """Return the places of a workspace."""
        vector = BYTES // itemsize
        plane = (2**self.n_qubits + 1) * lanes  # an extra row avoids cache conflicts between planes
        shared = 4 * plane
        sampled = shared + 3 * len(self.passes.rotations) * vector
        products = sampled + 2 * len(self.passes.angles) * lanes
        gradients = products + len(self.passes.sampled_layers) * lanes
        observables = gradients + 16 * lanes
        terms = observables + len(self.passes.final_rotations) * lanes
        end = terms + 3 * self.n_terms * lanes
        return Places(plane, shared, sampled, products, gradients, observables, terms, vector, end)

    def _tables(self, lanes: int, itemsize: int) -> tuple[np.ndarray, np.ndarray]:
        rows, *others = self._integers
        shared = self.shared_tables
        tables = (
            self.pass_rows(lanes, itemsize),
            lanes * rows,
            self._rotation_rows(lanes, itemsize),
            self._angle_rows(lanes, itemsize),
            *others,
            np.array(Sizes(self.n_qubits, self.n_sums + 1, self.n_layers, self.n_params), np.int64),
            np.array(self.places(lanes, itemsize), np.int64),
            *(shared.scaled, shared.entries, shared.phases, shared.orders),
        )
        parts = [part.ravel() for part in tables]
        ends = np.cumsum([len(parts) + 1, *map(len, parts)])
        return np.concatenate([ends, *parts]), self._numbers

    def pass_rows(self, lanes: int, itemsize: int) -> np.ndarray:
        """Return the table of passes, (passes, `PASS_WIDTH`)."""
        places, rows = self.places(lanes, itemsize), []
        for each in self.passes.passes:
            is_phase = each.kind == SAMPLED
            second = places.sampled + 2 * each.second * lanes if is_phase else each.second
            shears: list[int] = []
            for rotation in each.rotations:
                angle = self.passes.rotations[rotation].angle
                if angle < 0:
                    shears += [places.shared + 3 * rotation * places.vector, places.vector, 0]
                else:
                    shears += [places.sampled + 2 * angle * lanes, lanes, -1]
            is_last = len(rows) == len(self.passes.passes) - 1
            rotations = (rotation or -1 for rotation in each.rotations)
            product_at = places.products + each.product * lanes
            first = (each.kind, each.first, second, each.layer)
            rows.append((*first, *rotations, *shears, product_at, is_last))
        return _integers(rows, PASS_WIDTH)

    def _rotation_rows(self, lanes: int, itemsize: int) -> np.ndarray:
        """Return the table of rotations, (rotations, `ROTATION_WIDTH`); see the class."""
        places, angles, rows = self.places(lanes, itemsize), self.passes.angles, []
        for rotation in self.passes.rotations:
            number, gradient_at, factor_at, has_several = len(angles), -1, -1, False
            if rotation.angle >= 0:
                number = rotation.angle
                _, use, terms = angles[number]
                if use == SCALED:
                    factor_at = places.sampled + (2 * number + 1) * lanes
                if len(terms) == 1:
                    gradient_at = places.terms + (3 * self._term_numbers[terms[0]] + 2) * lanes
                has_several = len(terms) > 1
            ends = (has_several, rotation.numbers_at)
            rows.append(
                (rotation.total, number, rotation.observable, gradient_at, factor_at, *ends)
            )
        return _integers(rows, ROTATION_WIDTH)

    def _angle_rows(self, lanes: int, itemsize: int) -> np.ndarray:
        """Return the table of angles that differ between samples, for `make_angles`."""
        places, rows = self.places(lanes, itemsize), []
        for number, (total, use, terms) in enumerate(self.passes.angles):
            parts = places.sampled + 2 * number * lanes, self.passes.rotations[0].total
            if len(terms) == 1:
                parts = places.terms + 3 * self._term_numbers[terms[0]] * lanes, total
            rows.append((total, use, *parts))
        return _integers(rows, 4)


def _readout_rows(program: Program, readout: Readout) -> list[tuple[int, int]]:
    """Return row and sign of every read-out value."""
    if readout.kind == "strings":
        return list(program.readout)
    return [(row, 1) for row in np.argsort(program.basis_states()).tolist()]


def _is_whole(links: np.ndarray, n_columns: int) -> bool:
    """Return True if links list all columns in order, each with its own row."""
    columns, rows = links.T
    return columns.tolist() == list(range(n_columns)) and len(set(rows.tolist())) == n_columns


def _integers(rows, width: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, width)


@functools.lru_cache(maxsize=64)
def plan(circuit: Circuit, readout: Readout | None = None) -> KernelPlan:
    """Return the cached tables of a circuit and a read-out (default: Z of every wire)."""
    return KernelPlan(circuit, readout or Readout.z(circuit.n_qubits))
