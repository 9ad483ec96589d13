"""Passes of engine `cpu` over a state's rows, by kind.

Two or three rotations and a layer of phases run in one pass. Excludes positions in memory (see
`plan`), threads, data and derivatives.
"""

from typing import NamedTuple

import numpy as np

from qtha_lab.circuits import Readout
from qtha_lab.simulators.program import Phases, Program, Rotation, Rotations, Sum

# Kinds of passes; the letters are steps in execution order:
#   t, s  two rotations as shears, or scaled
#   T, S  three rotations of eight rows as shears, or scaled
#   p     one phase per row, with the shared cosines of preceding scaled rotations
#   q     the same with cosines that differ between samples
#   o     one phase per row of a state that is real before it
#   r     read-out after two final rotations, which are not executed
# and "sampled", a phase that differs between samples; "real", two rotations of a real state, which
# stays real; "first", two rotations of a state that is nonzero only in the first of their four
# rows.
KINDS = (
    *("sampled", "real", "first", "T", "S", "t", "pt", "ot", "tpt"),
    *("s", "ps", "os", "qs", "sps", "sqs", "r", "pr", "or", "qr", "tpr", "spr", "sqr"),
)
SAMPLED, REAL, FIRST, THREE, THREE_SCALED, READ = map(
    KINDS.index, ("sampled", "real", "first", "T", "S", "r")
)  # READ and later kinds include a read-out
LAST_READ_ALONE = KINDS.index("qr")  # later kinds execute two rotations first
# kind with shears for every kind
UNSCALED = np.array(
    [
        *(SAMPLED, REAL, FIRST),
        *(KINDS.index(kind.translate(str.maketrans("sSq", "tTp"))) for kind in KINDS[3:]),
    ]
)


COSINES, SHEARS, SCALED = range(3)  # uses of an angle that differs between samples
# Upper bound of Σ 1/C² over the samples of a block, with C the product of a layer's cosines.
# Gradients are products of two states without these cosines, and must not overflow float32.
MOST_LEFT_OUT = 2.0**80


def scaled_layers(program: Program, reads_behind: bool) -> frozenset[int]:
    """Return the positions of the layers with scaled rotations.

    The set is empty unless layers of rotations and of phases alternate and all phases are shared by
    the samples.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> from qtha_lab.simulators.program import compile_circuit
        >>> sorted(scaled_layers(compile_circuit(build("qtha", 4, 2)), True))
        [2, 4, 6]
    """
    layers = program.layers
    alternate = all(
        isinstance(layer, Phases if position % 2 else Rotations)
        for position, layer in enumerate(layers)
    )
    phases = [list(layer.angles.values()) for layer in layers[1::2]]
    shared = all(any(total.params or total.offset for total in totals) for totals in phases)
    sampled = any(total.inputs for totals in phases for total in totals)
    last = len(layers) - 1
    return frozenset(
        range(2, last, 2) if reads_behind and alternate and shared and not sampled else ()
    )


SHEARS_AT = 2  # position of the shears among the numbers of a sum (see `angles`)


class LayerRotations(NamedTuple):
    """Execution of the rotations of a layer.

    Attributes:
        numbers: Number of the sum of every rotation.
        step: Step letter of `passes`: shears ("t"), scaled ("s"), or not executed, since ⟨Z⟩ after
            them is derived ("r").
        phases: Layer of phases that includes their cosines, if they are scaled.
        sampled: Whether angles of the layer differ between samples; if scaled, all count as such.
        angles: Numbers of these angles, in execution order of their rotations.
        product: Position of the product of their cosines among all scaled layers of this kind.
    """

    numbers: dict[Rotation, int]
    step: str
    phases: int
    sampled: bool
    angles: list[int]
    product: int


class Pass(NamedTuple):
    """One pass over the rows of a state.

    Attributes:
        kind: Index of `pass_kinds.KINDS`.
        first: Position of its rows; for a phase that differs between samples, its mask.
        second: Number of groups of four or eight rows; for such a phase, its angle.
        layer: Layer of phases.
        rotations: Four rotations; 0 is the identity.
        product: Position of the product of cosines that multiplies its phases.
    """

    kind: int
    first: int
    second: int
    layer: int
    rotations: tuple[int, ...]
    product: int


class PlannedRotation(NamedTuple):
    """One executed rotation.

    Attributes:
        total: Its sum.
        angle: Its angle among those that differ between samples, or -1.
        observable: Position of ⟨Z⟩ after it, or -1.
        numbers_at: First of its numbers in the table of sums.
    """

    total: int
    angle: int
    observable: int
    numbers_at: int


class PassList:
    """Passes of a circuit, with the rotations, angles and phases that they use.

    A sum is the angle of a rotation or phase.

    Attributes:
        n_qubits: Qubits of the state, at least 2, since a pass needs four rows.
        sums: All sums.
        phases: Layer, mask and sum of every shared phase.
        passes: The passes in execution order.
        rows: Groups of rows of every pass.
        orders: Rows of every layer of phases in execution order.
        angles: Sum, use and terms of every angle that differs between samples.
        rotations: The rotations; the first is the identity, whose sum is the empty sum.
        final_rotations: Masks of the rotations that are not executed (see `final_rotations`).
        scaled: Sum and layer of phases of every scaled rotation with a shared angle.
        sampled_layers: Angles of every scaled layer whose angles differ between samples.
        fills_state: Whether the first passes reach all rows.
    """

    def __init__(self, program: Program, readout: Readout):
        self.n_qubits = max(2, program.n_qubits)
        self.sums: list[Sum] = []
        self.phases: list[tuple[int, int, int]] = []
        self.passes: list[Pass] = []
        self.rows: list[np.ndarray] = []
        self.orders: dict[int, np.ndarray] = {}
        self.angles: list[tuple[int, int, tuple]] = []
        n_sums = sum(len(layer.angles) for layer in program.layers)
        self.rotations = [PlannedRotation(n_sums, -1, -1, SHEARS_AT)]
        self.final_rotations = _final_rotations(program, readout)
        self.scaled: list[tuple[int, int]] = []
        self.sampled_layers: list[list[int]] = []
        self.fills_state = False
        self._is_real = True  # only rotations so far, which are real
        self._scaled_layers = scaled_layers(program, bool(self.final_rotations))
        self._add_layers(program)

    @property
    def n_layers(self) -> int:
        """Number of layers of shared phases."""
        return 1 + max((layer for layer, *_ in self.phases), default=-1)

    def _add_layers(self, program: Program) -> None:
        """Group rotations into passes of two or three, with a layer of phases where possible.

        A layer of shared phases joins the pass of two rotations after it, and of the same two
        before it.
        """
        layers = [(layer, self._numbered(layer)) for layer in program.layers]
        phases: int | None = None  # pending layer of shared phases
        before: list[Rotation] = []  # pending rotations for the same pass
        of_before = LayerRotations({}, "t", -1, False, [], 0)
        for position, (layer, numbers) in enumerate(layers):
            if isinstance(layer, Phases):
                phases = self._add_phases(numbers)
                continue
            execution = self._execution(position, position == len(layers) - 1, numbers)
            left = list(layer.angles)
            if position == 0:
                self._add_first_rotations(left, execution, program.start)
                continue
            if phases is not None:
                after = before or left[:2]
                self._add_pass(before, of_before, phases, after, execution)
                left = [rotation for rotation in left if rotation not in after]
            next_rotations = self._next_rotations(layers, position)
            before = [rotation for rotation in left if rotation in next_rotations][-2:]
            phases, of_before = None, execution
            left = [rotation for rotation in left if rotation not in before]
            at, most = 0, 2 if execution.step == "r" else 3
            for n_left in range(-(-len(left) // most), 0, -1):  # as few passes as possible
                size = -(-(len(left) - at) // n_left)
                self._add_pass([], execution, None, left[at : at + size], execution)
                at += size

    def _execution(
        self, position: int, is_last: bool, numbers: dict[Rotation, int]
    ) -> LayerRotations:
        step, sampled = "t", any(self.sums[j].inputs for j in numbers.values())
        if position in self._scaled_layers:
            step = "s"
        elif self.final_rotations and is_last:
            step = "r"
        angles: list[int] = []
        if step == "s" and sampled:
            self.sampled_layers.append(angles)
        product = len(self.sampled_layers) - 1
        # phases are every second layer
        return LayerRotations(numbers, step, position // 2, sampled, angles, product)

    def _next_rotations(self, layers: list, position: int) -> list[Rotation]:
        """Return the rotations of the next layer if only shared phases lie in between."""
        if position + 2 >= len(layers):
            return []
        (between, numbers), (after, _) = layers[position + 1 : position + 3]
        if isinstance(between, Rotations) or not any(self._is_shared(j) for j in numbers.values()):
            return []
        sampled = any(self.sums[j].inputs for j in numbers.values())
        return [] if sampled else list(after.angles)

    def _numbered(self, layer) -> dict:
        """Register the sums of a layer; return the number of each rotation's or phase's sum."""
        first = len(self.sums)
        self.sums += layer.angles.values()
        return {op: first + i for i, op in enumerate(layer.angles)}

    def _is_shared(self, j: int) -> bool:
        return bool(self.sums[j].params or self.sums[j].offset)

    def _add_phases(self, numbers: dict[int, int]) -> int | None:
        """Add the passes of phases that differ between samples; return the layer of shared phases.

        The layer of shared phases is left pending; the result is None without such phases.
        """
        for mask, j in numbers.items():
            if self.sums[j].inputs:
                nothing = self.rotations[0].total
                self.angles.append((nothing, COSINES, self.sums[j].inputs))
                angle = len(self.angles) - 1
                # treated as a rotation
                self.rotations.append(PlannedRotation(nothing, angle, -1, SHEARS_AT))
                rotations = len(self.rotations) - 1, 0, 0, 0
                self.passes.append(Pass(SAMPLED, mask, angle, 0, rotations, 0))
                self._is_real = False
        shared = [(mask, j) for mask, j in numbers.items() if self._is_shared(j)]
        if not shared:
            return None
        layer = self.n_layers
        self.phases += [(layer, mask, j) for mask, j in shared]
        return layer

    def _add_pass(
        self,
        before: list[Rotation],
        of_before: LayerRotations,
        phases: int | None,
        after: list[Rotation],
        execution: LayerRotations,
    ) -> None:
        """Add a pass of optional rotations and phases, then rotations."""
        by_lane = of_before.step == "s" and of_before.sampled
        phase = "" if phases is None else self._phase_step(by_lane, bool(before))
        step = execution.step.upper() if len(after) > 2 else execution.step
        kind = KINDS.index(of_before.step * bool(before) + phase + step)
        groups = _groups(_filled(after, self.n_qubits), np.arange(2**self.n_qubits))
        if phases is not None:
            self.orders[phases] = groups.ravel()
        rotations = self._add_rotations(before, of_before) + self._add_rotations(after, execution)
        self._append(kind, groups, phases or 0, rotations, of_before.product if by_lane else 0)

    def _phase_step(self, by_lane: bool, follows_rotations: bool) -> str:
        """Return the step letter of a layer of shared phases."""
        if by_lane:
            return "q"
        return "o" if self._is_real and not follows_rotations else "p"

    def _add_first_rotations(
        self, rotations: list[Rotation], execution: LayerRotations, start: str
    ) -> None:
        """Add the passes of the first layer of rotations, which act on a real state.

        From |0…0⟩ they fill the rows step by step.
        """
        reached, at, kind = np.zeros(1, np.int64), 0, FIRST if start == "zero" else REAL
        while at < len(rotations):
            # an odd number starts with a single rotation
            chosen = rotations[at : at + 2 - (len(rotations) - at) % 2]
            rows = reached if kind == FIRST else np.arange(2**self.n_qubits)
            groups = _groups(_filled(chosen, self.n_qubits), rows)
            added = self._add_rotations(chosen, execution, is_first=kind == FIRST)
            if kind == FIRST and len(chosen) == 1:  # pad with the identity, as cosine and sine
                self.rotations.append(PlannedRotation(self.rotations[0].total, -1, -1, 0))
                added[1] = len(self.rotations) - 1
            self._append(kind, groups, 0, added)
            reached = groups[:, : 2 ** len(chosen)].ravel()
            at += len(chosen)
        self.fills_state = kind == FIRST and len(reached) == 2**self.n_qubits

    def _add_rotations(
        self, rotations: list[Rotation], execution: LayerRotations, is_first: bool = False
    ) -> list[int]:
        is_scaled = execution.step == "s"
        use = SCALED if is_scaled else COSINES if is_first else SHEARS
        for rotation in rotations:
            j, angle = execution.numbers[rotation], -1
            if self.sums[j].inputs or (is_scaled and execution.sampled):
                angle = len(self.angles)
                execution.angles.append(angle)
                self.angles.append((j, use, self.sums[j].inputs))
            elif is_scaled:
                self.scaled.append((j, execution.phases))
            is_final = execution.step == "r"
            observable = self.final_rotations.index(rotation.zmask) if is_final else -1
            numbers_at = 0 if is_first else SHEARS_AT
            self.rotations.append(PlannedRotation(j, angle, observable, numbers_at))
        added = range(len(self.rotations) - len(rotations), len(self.rotations))
        return [*added, *[0] * (len(rotations) % 2)]

    def _append(
        self, kind: int, groups: np.ndarray, layer: int, rotations: list[int], product: int = 0
    ) -> None:
        rotations = rotations + [0] * (4 - len(rotations))
        place = sum(rows.size for rows in self.rows)
        self.passes.append(Pass(kind, place, len(groups), layer, tuple(rotations), product))
        self._is_real = self._is_real and kind in (REAL, FIRST)
        self.rows.append(groups)


def _final_rotations(program: Program, readout: Readout) -> list[int]:
    """Return the masks of final rotations that need no execution, else an empty list.

    The list is nonempty if every observable is the Z of a final rotation. Then
    U†ZU = cos a Z - sin a X replaces these rotations in the forward and the backward pass.
    """
    if readout.kind != "strings" or len(program.layers) < 2:
        return []
    last = program.layers[-1]
    masks = [rotation.zmask for rotation in last.angles] if isinstance(last, Rotations) else []
    return masks if all(mask in masks for mask, _ in program.readout) else []


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
