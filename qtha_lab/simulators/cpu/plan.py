"""Tables of integers of a compiled circuit for the kernel of engine `cpu`.

Excludes threads, data and derivatives.
"""

import functools
from typing import NamedTuple

import numpy as np

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu.passes import (
    FIRST,
    KINDS,
    PASS_WIDTH,
    READ,
    REAL,
    SAMPLED,
    THREE,
    THREE_SCALED,
)
from qtha_lab.simulators.cpu.scaled_rotations import (
    COSINES,
    SCALED,
    SHEARS,
    scaled_layers,
)
from qtha_lab.simulators.cpu.vectors import BYTES
from qtha_lab.simulators.program import Phases, Program, Rotation, Rotations, Sum, compile_circuit

ROTATION_WIDTH = 7  # integers per rotation
SHEARS_AT = 2  # position of the shears among the numbers of a sum (see `angles`)


class _RotationSchedule(NamedTuple):
    """Execution of the rotations of a layer.

    Attributes:
        numbers: Number of the sum of every rotation.
        step: Step letter of `passes`: shears ("t"), scaled ("s"), or not executed, since ⟨Z⟩ after
            them is derived ("r").
        phases: Layer of phases that includes their cosines, if they are scaled.
        sampled: Whether angles of the layer differ between samples; if scaled, all count as such.
        angles: Numbers of these angles, in execution order of their rotations.
        whole: Position of the product of their cosines among all scaled layers of this kind.
    """

    numbers: dict[Rotation, int]
    step: str
    phases: int
    sampled: bool
    angles: list[int]
    whole: int


class Plan:
    """Tables of one circuit.

    A sum is the angle of a rotation or phase; a term is one scaled input, shared by all sums that
    use it. `tables(lanes, itemsize)` returns two arrays for `kernel.walk`: integers; scales, signs
    and angles. They are only two because every argument costs time. The integers start with the
    bounds of the following tables:

    * passes: kind, position of its rows, number of groups of four or eight rows, layer of phases,
      four rotations or -1, and the position of their shears in `workspace`; or kind, mask and
      position of cosines;
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
    * six flags: Z-strings are read out; the terms are all inputs in order; each read-out value has
      its own row (see `transpose`); the first passes do not fill the real or the imaginary plane of
      ψ (see `passes`); the last pass that changes ψ includes a read-out;
    * numbers of qubits, sums with the empty sum, layers of phases and params, then `places`;
    * the integers of `of_params`, in order.

    Attributes:
        of_params: Input of `angles.shared_numbers`: constant parts of sums, scaled rotations in
            layers that all samples share, entries and their scales, positions of phases, order of
            their rows.
        n_numbers: Count of numbers that all samples share.
    """

    def __init__(self, circuit: Circuit, readout: Readout):
        program = compile_circuit(circuit, readout)
        self.n_values, self.n_params = readout.size(circuit.n_qubits), circuit.n_params
        self.n_inputs = circuit.n_inputs
        self.n_qubits = max(2, circuit.n_qubits)  # a pass needs four rows
        self.n_amplitudes = 2**circuit.n_qubits if circuit.start == "amplitudes" else 0
        self._sums: list[Sum] = []
        self._phases: list[tuple[int, int, int]] = []  # (layer, mask, sum)
        self._passes: list[tuple[int, ...]] = []
        self._is_real = True  # only rotations so far, which are real
        self._is_full = False  # the first passes reach all rows
        self._rows: list[np.ndarray] = []
        self._orders: dict[int, np.ndarray] = {}  # the rows of layers of phases
        self._angles: list[tuple[int, int, tuple]] = []  # (sum, use, terms)
        # the first is the identity: it pads a pass, and its sum is the empty sum
        self._rotations: list[tuple[int, int, int, int]] = [
            (sum(len(x.angles) for x in program.layers), -1, -1, SHEARS_AT)
        ]
        self.reads_behind = _reads_behind(program, readout)
        self._scaled_layers = scaled_layers(program, bool(self.reads_behind))
        self._scaled: list[tuple[int, int]] = []
        self._sampled_scaled: list[list[int]] = []  # the angles of every layer
        self._add_layers(program)
        self.n_layers = 1 + max((layer for layer, *_ in self._phases), default=-1)
        self.n_sums = len(self._sums)
        self.n_numbers = 6 * (self.n_sums + 1) + self.n_layers * (6 * 2**self.n_qubits + 1) + 1
        entries = [(j, i, s) for j, t in enumerate(self._sums) for i, s in t.params]
        self.of_params = (
            np.array([*(total.offset for total in self._sums), 0.0]),
            _integers(self._scaled, 2),
            _integers([e[:2] for e in entries], 2),
            np.array([e[2] for e in entries], np.float64),
            _integers(self._phases, 3),
            _integers([rows for _, rows in sorted(self._orders.items())], 2**self.n_qubits),
        )
        self.rows = np.concatenate([np.zeros(0, np.int64), *(rows.ravel() for rows in self._rows)])
        self.reads_strings = readout.kind == "strings"
        self._integers = (
            *self._tables_of_angles(),
            *self._tables_of_ends(program, circuit, readout),
        )
        offsets, _, _, scales, *_ = self.of_params
        of_ends = self._term_scales, self._signs, np.ones(self.n_amplitudes)
        self._numbers = np.concatenate([*of_ends, offsets, scales])
        self.tables = functools.cache(self._tables)
        self.places = functools.cache(self._places)

    def _tables_of_angles(self) -> tuple[np.ndarray, ...]:
        """Return the tables of rows, scaled layers, term bounds, members and terms."""
        numbers: dict[tuple[int, float], int] = {}
        terms = [
            [numbers.setdefault(t, len(numbers)) for t in angle_terms]
            for *_, angle_terms in self._angles
        ]
        self.n_terms, self._term_numbers = len(numbers), numbers
        self._term_scales = np.array([scale for _, scale in numbers], np.float64)
        self._term_links = _integers([(i, 3 * row) for row, (i, _) in enumerate(numbers)], 2)
        return (
            self.rows,
            _integers([(of_layer[0], len(of_layer)) for of_layer in self._sampled_scaled], 2),
            np.cumsum([0, *map(len, terms), 0], dtype=np.int64),
            np.array([number for angle_terms in terms for number in angle_terms], np.int64),
            self._term_links,
        )

    def _tables_of_ends(self, program: Program, circuit: Circuit, readout: Readout) -> tuple:
        """Return the tables of read-outs, initial amplitudes and flags."""
        read = _readout(program, readout)
        places = {mask: place for place, mask in enumerate(self.reads_behind)}
        self._signs = np.array([sign for _, sign in read], np.float64)
        kinds = [kind for kind, *_ in self._passes]
        links = _integers([(i, places.get(row, row)) for i, (row, _) in enumerate(read)], 2)
        return (
            links,
            _integers([(k, k) for k in range(self.n_amplitudes)], 2),
            np.array(
                [
                    self.reads_strings,
                    _is_whole(self._term_links, circuit.n_inputs),
                    _is_whole(links, self.n_values),
                    not self._is_full,
                    not any("o" in KINDS[kind] for kind in kinds),
                    next((kind for kind in reversed(kinds) if kind != READ), 0) > READ,
                ],
                np.int64,
            ),
        )

    def _places(self, lanes: int, itemsize: int) -> tuple[int, ...]:
        """Return positions in `workspace` (see `kernel`), the numbers in a vector, and the end.

        The positions are those of ψ, its imaginary plane, shared rotations, angles per sample,
        products of cosines, gradients of a pass, ⟨Z⟩ after the final rotations, and terms.
        """
        vector = BYTES // itemsize
        plane = (2**self.n_qubits + 1) * lanes  # an extra row avoids cache conflicts between planes
        shared = 4 * plane
        sampled = shared + 3 * len(self._rotations) * vector
        wholes = sampled + 2 * len(self._angles) * lanes
        gradients = wholes + len(self._sampled_scaled) * lanes
        reads = gradients + 16 * lanes
        terms = reads + len(self.reads_behind) * lanes
        end = terms + 3 * self.n_terms * lanes
        return 0, plane, shared, sampled, wholes, gradients, reads, terms, vector, end

    def _tables(self, lanes: int, itemsize: int) -> tuple[np.ndarray, np.ndarray]:
        rows, *others = self._integers
        _, scaled, entries, _, phases, orders = self.of_params
        *places, _ = self.places(lanes, itemsize)
        sizes = self.n_qubits, self.n_sums + 1, self.n_layers, self.n_params
        tables = (
            self.passes(lanes, itemsize),
            lanes * rows,
            self._rotation_rows(lanes, itemsize),
            self._angle_rows(lanes, itemsize),
            *others,
            np.array([*sizes, *places], np.int64),
            *(scaled, entries, phases, orders),
        )
        parts = [part.ravel() for part in tables]
        ends = np.cumsum([len(parts) + 1, *map(len, parts)])
        return np.concatenate([ends, *parts]), self._numbers

    def passes(self, lanes: int, itemsize: int) -> np.ndarray:
        """Return the table of passes, (passes, `PASS_WIDTH`).

        Args:
            lanes: Samples per block.
            itemsize: Bytes per number.
        """
        _, _, shared, sampled, wholes, *_, vector, _ = self.places(lanes, itemsize)
        ops = []
        for kind, first, second, layer, *rotations, of_whole in self._passes:
            if kind == SAMPLED:
                second = sampled + 2 * second * lanes
            where: list[int] = []
            for rotation in rotations:
                angle = self._rotations[rotation][1]
                if angle < 0:
                    where += [shared + 3 * rotation * vector, vector, 0]
                else:
                    where += [sampled + 2 * angle * lanes, lanes, -1]
            is_end = len(ops) == len(self._passes) - 1
            ops.append(
                (
                    *(kind, first, second, layer),
                    *(rotation or -1 for rotation in rotations),
                    *where,
                    *(wholes + of_whole * lanes, is_end),
                )
            )
        return _integers(ops, PASS_WIDTH)

    def _rotation_rows(self, lanes: int, itemsize: int) -> np.ndarray:
        """Return the table of rotations, (rotations, `ROTATION_WIDTH`); see the class."""
        _, _, _, sampled, *_, terms, _, _ = self.places(lanes, itemsize)
        rows = []
        for total, angle, read, numbers_at in self._rotations:
            to, by, is_of_several = -1, -1, False
            if angle >= 0:
                _, use, of_angle = self._angles[angle]
                if use == SCALED:
                    by = sampled + (2 * angle + 1) * lanes
                if len(of_angle) == 1:
                    to = terms + (3 * self._term_numbers[of_angle[0]] + 2) * lanes
                is_of_several = len(of_angle) > 1
            rows.append(
                (
                    total,
                    angle if angle >= 0 else len(self._angles),
                    read,
                    to,
                    by,
                    is_of_several,
                    numbers_at,
                )
            )
        return _integers(rows, ROTATION_WIDTH)

    def _angle_rows(self, lanes: int, itemsize: int) -> np.ndarray:
        """Return the table of angles that differ between samples, for `make_angles`."""
        _, _, _, sampled, *_, terms, _, _ = self.places(lanes, itemsize)
        rows = []
        for number, (total, use, of_angle) in enumerate(self._angles):
            own, nothing = sampled + 2 * number * lanes, self._rotations[0][0]
            parts = own, nothing
            if len(of_angle) == 1:
                parts = terms + 3 * self._term_numbers[of_angle[0]] * lanes, total
            rows.append((total, use, *parts))
        return _integers(rows, 4)

    def _add_layers(self, program: Program) -> None:
        """Group rotations into passes of two or three, with a layer of phases where possible.

        A layer of shared phases joins the pass of two rotations after it, and of the same two
        before it.
        """
        layers = [(layer, self._numbered(layer)) for layer in program.layers]
        phases: int | None = None  # pending layer of shared phases
        before: list[Rotation] = []  # pending rotations for the same pass
        of_before = _RotationSchedule({}, "t", -1, False, [], 0)
        for position, (layer, numbers) in enumerate(layers):
            if isinstance(layer, Phases):
                phases = self._add_phases(numbers)
                continue
            course = self._course(position, len(layers), numbers)
            left = list(layer.angles)
            if position == 0:
                self._add_first_rotations(left, course, program.start)
                continue
            if phases is not None:
                after = before or left[:2]
                self._add_pass(before, of_before, phases, after, course)
                left = [rotation for rotation in left if rotation not in after]
            next_turns = self._next_rotations(layers, position)
            before = [rotation for rotation in left if rotation in next_turns][-2:]
            phases, of_before = None, course
            left = [rotation for rotation in left if rotation not in before]
            at, most = 0, 2 if course.step == "r" else 3
            for n_left in range(-(-len(left) // most), 0, -1):  # as few passes as possible
                size = -(-(len(left) - at) // n_left)
                self._add_pass([], course, None, left[at : at + size], course)
                at += size

    def _course(
        self, position: int, n_layers: int, numbers: dict[Rotation, int]
    ) -> _RotationSchedule:
        step, sampled = "t", any(self._sums[j].inputs for j in numbers.values())
        if position in self._scaled_layers:
            step = "s"
        elif self.reads_behind and position == n_layers - 1:
            step = "r"
        angles: list[int] = []
        if step == "s" and sampled:
            self._sampled_scaled.append(angles)
        whole = len(self._sampled_scaled) - 1
        return _RotationSchedule(
            numbers, step, position // 2, sampled, angles, whole
        )  # phases are every second layer

    def _next_rotations(self, layers: list, position: int) -> list[Rotation]:
        """Return the rotations of the next layer if only shared phases lie in between."""
        if position + 2 >= len(layers):
            return []
        (between, numbers), (after, _) = layers[position + 1 : position + 3]
        if isinstance(between, Rotations) or not any(self._is_shared(j) for j in numbers.values()):
            return []
        sampled = any(self._sums[j].inputs for j in numbers.values())
        return [] if sampled else list(after.angles)

    def _numbered(self, layer) -> dict:
        """Register the sums of a layer; return the number of each rotation's or phase's sum."""
        first = len(self._sums)
        self._sums += layer.angles.values()
        return {op: first + i for i, op in enumerate(layer.angles)}

    def _is_shared(self, j: int) -> bool:
        return bool(self._sums[j].params or self._sums[j].offset)

    def _add_phases(self, numbers: dict[int, int]) -> int | None:
        """Add the passes of phases that differ between samples; return the layer of shared phases.

        The layer of shared phases is left pending; the result is None without such phases.
        """
        for mask, j in numbers.items():
            if self._sums[j].inputs:
                nothing = self._rotations[0][0]
                self._angles.append((nothing, COSINES, self._sums[j].inputs))
                self._rotations.append(
                    (nothing, len(self._angles) - 1, -1, SHEARS_AT)
                )  # treated as a rotation
                op = (SAMPLED, mask, len(self._angles) - 1)
                self._passes.append((*op, 0, len(self._rotations) - 1, 0, 0, 0, 0))
                self._is_real = False
        shared = [(mask, j) for mask, j in numbers.items() if self._is_shared(j)]
        if not shared:
            return None
        layer = 1 + max((layer for layer, *_ in self._phases), default=-1)
        self._phases += [(layer, mask, j) for mask, j in shared]
        return layer

    def _add_pass(
        self,
        before: list[Rotation],
        of_before: _RotationSchedule,
        phases: int | None,
        after: list[Rotation],
        course: _RotationSchedule,
    ) -> None:
        """Add a pass of optional rotations and phases, then rotations."""
        by_lane = of_before.step == "s" and of_before.sampled
        phase = (
            ""
            if phases is None
            else "q"
            if by_lane
            else "o"
            if self._is_real and not before
            else "p"
        )
        step = course.step.upper() if len(after) > 2 else course.step
        kind = KINDS.index(of_before.step * bool(before) + phase + step)
        groups = _groups(_filled(after, self.n_qubits), np.arange(2**self.n_qubits))
        if phases is not None:
            self._orders[phases] = groups.ravel()
        rotations = self._add_rotations(before, of_before) + self._add_rotations(after, course)
        self._append(kind, groups, phases or 0, rotations, of_before.whole if by_lane else 0)

    def _add_first_rotations(
        self, rotations: list[Rotation], course: _RotationSchedule, start: str
    ) -> None:
        """Add the passes of the first layer of rotations, which act on a real state.

        From |0…0⟩ they fill the rows step by step.
        """
        reached, at, kind = np.zeros(1, np.int64), 0, FIRST if start == "zero" else REAL
        while at < len(rotations):
            chosen = rotations[
                at : at + 2 - (len(rotations) - at) % 2
            ]  # an odd number starts with a single rotation
            rows = reached if kind == FIRST else np.arange(2**self.n_qubits)
            groups = _groups(_filled(chosen, self.n_qubits), rows)
            added = self._add_rotations(chosen, course, is_first=kind == FIRST)
            if kind == FIRST and len(chosen) == 1:  # pad with the identity, as cosine and sine
                self._rotations.append((self._rotations[0][0], -1, -1, 0))
                added[1] = len(self._rotations) - 1
            self._append(kind, groups, 0, added)
            reached = groups[:, : 2 ** len(chosen)].ravel()
            at += len(chosen)
        self._is_full = kind == FIRST and len(reached) == 2**self.n_qubits

    def _add_rotations(
        self, rotations: list[Rotation], course: _RotationSchedule, is_first: bool = False
    ) -> list[int]:
        is_scaled = course.step == "s"
        use = SCALED if is_scaled else COSINES if is_first else SHEARS
        for rotation in rotations:
            j, angle = course.numbers[rotation], -1
            if self._sums[j].inputs or (is_scaled and course.sampled):
                angle = len(self._angles)
                course.angles.append(angle)
                self._angles.append((j, use, self._sums[j].inputs))
            elif is_scaled:
                self._scaled.append((j, course.phases))
            read = self.reads_behind.index(rotation.zmask) if course.step == "r" else -1
            self._rotations.append((j, angle, read, 0 if is_first else SHEARS_AT))
        added = range(len(self._rotations) - len(rotations), len(self._rotations))
        return [*added, *[0] * (len(rotations) % 2)]

    def _append(
        self, kind: int, groups: np.ndarray, layer: int, rotations: list[int], whole: int = 0
    ) -> None:
        rotations = rotations + [0] * (4 - len(rotations))
        place = sum(rows.size for rows in self._rows)
        self._passes.append((kind, place, len(groups), layer, *rotations, whole))
        self._is_real = self._is_real and kind in (REAL, FIRST)
        self._rows.append(groups)

    def work(self, backward: bool, itemsize: int) -> tuple[float, float]:
        """Return the operations, and the bytes loaded and stored, per sample; see `roofline`.

        * First rotations are products: two per row; backward one per row, and per row of both
          states a multiply-add, minus one addition in four.
        * A rotation costs 3 multiply-adds per pair of numbers of a state, or 2 if scaled. The state
          is real at first.
        * A phase costs 6 operations per row, 3 for a real row and 4 for its inverse to a real row.
          Scaling factors per sample cost 3 more.
        * Backward, both are undone on two states. Their gradients cost 2 multiply-adds per pair and
          per row more.
        * A read-out after a rotation costs 3 operations per row, as |ψ|² does, and backward 4 more
          of each.
        """
        size = 2**self.n_qubits
        flops, moved = (
            (0.0, 0.0) if self.reads_behind else (3.0 * size, 3.0 * size)
        )  # |ψ|², or λ = g ψ
        if self.reads_strings and not self.reads_behind:
            flops, moved = flops + self.n_qubits * size, moved + self.n_qubits * size
        for kind, _, groups, _, *rotations, _ in self._passes:
            if kind == SAMPLED:
                rows, steps, planes = size, "p", 2
            else:
                n_rows = 8 if kind in (THREE, THREE_SCALED) else 4
                rows, steps, planes = n_rows * groups, KINDS[kind].lower(), 2
            if kind == FIRST:
                flops += (8.5 if backward else 2) * rows
                moved += (2.5 if backward else 1.25) * rows
                continue
            if kind == REAL:
                steps, planes = "t", 1
            pairs = iter(
                (rotations,) if kind in (THREE, THREE_SCALED) else (rotations[:2], rotations[2:])
            )
            for step in steps:
                if step in "opq":
                    flops += (2 * 6 + 4 if backward else 6) * rows + 3 * rows * (step == "q")
                    if step == "o":
                        flops -= (2 * 2 if backward else 3) * rows
                    continue
                n_rotations = sum(map(bool, next(pairs)))
                if step == "r":
                    flops += (7 + 7 * n_rotations if backward else 3 + 3 * n_rotations) * rows
                else:
                    adds = 3 if step == "t" else 2
                    flops += planes * (2 * adds + 2 if backward else adds) * n_rotations * rows
            moved += planes * (4 if backward else 2) * rows - 2 * rows * (steps == "r")
            moved -= (2 if backward else 1) * rows * ("o" in steps)
        return flops, moved * itemsize


def _readout(program: Program, readout: Readout) -> list[tuple[int, int]]:
    """Return row and sign of every read-out value."""
    if readout.kind == "strings":
        return list(program.readout)
    return [(row, 1) for row in np.argsort(program.basis_states()).tolist()]


def _reads_behind(program: Program, readout: Readout) -> list[int]:
    """Return the masks of final rotations that need no execution, else an empty list.

    The list is nonempty if every observable is the Z of a final rotation. Then
    U†ZU = cos a Z - sin a X replaces these rotations in the forward and the backward pass.
    """
    if readout.kind != "strings" or len(program.layers) < 2:
        return []
    last = program.layers[-1]
    masks = [rotation.zmask for rotation in last.angles] if isinstance(last, Rotations) else []
    return masks if all(mask in masks for mask, _ in program.readout) else []


def _is_whole(links: np.ndarray, n_columns: int) -> bool:
    """Return whether links list all columns in order, each with a row of its own."""
    columns, rows = links.T
    return columns.tolist() == list(range(n_columns)) and len(set(rows.tolist())) == n_columns


def _integers(rows, width: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, width)


def _filled(rotations: list[Rotation], n_qubits: int) -> list[Rotation]:
    """Return two rotations or more; a single one is paired with any independent rotation."""
    if len(rotations) > 1:
        return rotations
    (rotation,) = rotations
    others = (Rotation(f, z) for f in range(1, 2**n_qubits) for z in range(1, 2**n_qubits))
    return [
        rotation,
        next(
            o
            for o in others
            if o.is_independent_of(rotation) and (o.flip & o.zmask).bit_count() % 2
        ),
    ]


def _groups(rotations: list[Rotation], rows: np.ndarray) -> np.ndarray:
    """Return groups of rows that rotations mix, (groups, 2^rotations).

    The first row of a group lies in the |0⟩ half of all rotations.
    """
    flips = np.zeros(1, np.int64)
    for rotation in rotations:
        rows = rows[np.bitwise_count(rows & rotation.zmask) % 2 == 0]
        flips = np.concatenate([flips, flips ^ rotation.flip])
    return rows[:, None] ^ flips


@functools.lru_cache(maxsize=64)
def plan(circuit: Circuit, readout: Readout | None = None) -> Plan:
    """Return the cached tables of a circuit and a read-out (default: Z of every wire)."""
    return Plan(circuit, readout or Readout.z(circuit.n_qubits))
