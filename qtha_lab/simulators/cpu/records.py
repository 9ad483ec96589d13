"""Records that the compiled code of engine `cpu` passes between functions.

numba keeps a NamedTuple in registers, like its fields. Python passes plain tuples in the same
order, because a NamedTuple as an argument from Python costs 5 µs more per call.
"""

from typing import Any, NamedTuple

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.vectors import part

PASS_WIDTH = 22  # integers per pass
ROTATION_WIDTH = 7  # integers per rotation


class Operands(NamedTuple):
    """Operands of one forward or backward pass over a batch.

    Arrays have one dtype, float32 or float64, unless stated otherwise.

    Attributes:
        integers: First result of `KernelPlan.tables(lanes, itemsize)`, int64.
        scales: Second result of `KernelPlan.tables`, float64.
        lanes: Samples per block.
        n_groups: Number of groups of blocks.
        batch: Number of samples.
        n_inputs: Numbers per sample.
        n_values: Read-out values per sample.
        inputs_at: Address of the data, (batch, n_inputs), in radians, or amplitudes.
        grad_at: Backward: address of the gradient of the values, (batch, n_values).
        backward: Whether to compute gradients instead of values.
        numbers: Numbers that all samples share, by `angles.shared_numbers`.
        results: Output: values, (batch, n_values), or backward the gradients of inputs,
            (batch, n_inputs).
        states: Saved ψ and terms of the first blocks, as many as fit; the others are recomputed
            backward. Its length is a multiple of 2 · (2^n + 1 + terms) · lanes.
        sums: Backward: accumulator of gradients per group, float64. Sums, (groups, sums + 1),
            precede the rows of every layer of phases, (groups, layers, 2^n).
        workspaces: Scratch memory, (threads, at least `Places.end`).
    """

    integers: Any
    scales: Any
    lanes: int
    n_groups: int
    batch: int
    n_inputs: int
    n_values: int
    inputs_at: int
    grad_at: int
    backward: bool
    numbers: Any
    results: Any
    states: Any
    sums: Any
    workspaces: Any


class Sizes(NamedTuple):
    """Numbers of qubits, sums with the empty sum, layers of phases, and params."""

    n_qubits: int
    n_sums: int
    n_layers: int
    n_params: int


class Places(NamedTuple):
    """Positions of the parts of a workspace (see `kernel`); ψ is at 0.

    Attributes:
        plane: Imaginary plane of ψ; λ is at twice this position.
        shared: Rotations whose angles all samples share.
        sampled: Angles that differ between samples.
        products: Products of the cosines of scaled layers.
        gradients: Gradients of the rotations of a pass, 16 rows.
        observables: ⟨Z⟩ after each of the final rotations.
        terms: Cosine, sine and gradient of every term.
        vector: Numbers in a vector.
        end: Length of a workspace.
    """

    plane: int
    shared: int
    sampled: int
    products: int
    gradients: int
    observables: int
    terms: int
    vector: int
    end: int


class Flags(NamedTuple):
    """Facts about a circuit and its read-out, each 0 or 1.

    Attributes:
        is_strings: Z-strings are read out, not probabilities.
        is_all_inputs: The terms are all inputs in order.
        is_all_values: Each read-out value has its own row.
        fills_real: The first passes do not fill the real plane of ψ.
        fills_imag: The first passes do not fill the imaginary plane of ψ.
        ends_with_readout: The last pass that changes ψ includes a read-out.
    """

    is_strings: Any
    is_all_inputs: Any
    is_all_values: Any
    fills_real: Any
    fills_imag: Any
    ends_with_readout: Any


class Links(NamedTuple):
    """Columns of a table and the rows of a block that hold them.

    Attributes:
        pairs: Column and row, (links, 2).
        scales: Scale per link.
        is_whole: Whether the links list all columns in order, each with a row of its own.
    """

    pairs: Any
    scales: Any
    is_whole: Any


class SharedTables(NamedTuple):
    """Tables for `angles.shared_numbers` and `angles.param_gradients`.

    Attributes:
        offsets: Constant part of every sum, (sums + 1,), in radians; the last is the empty sum.
        scaled: Sum and layer of phases of every scaled rotation in layers that all samples share,
            in execution order.
        entries: Sum and parameter of every scaled parameter in a sum, (entries, 2).
        scales: Scale of every entry, (entries,).
        phases: Layer, row and sum of every phase, (phases, 3).
        orders: Rows of every layer of phases in execution order, (layers, 2^n).
    """

    offsets: Any
    scaled: Any
    entries: Any
    scales: Any
    phases: Any
    orders: Any


class SharedNumbers(NamedTuple):
    """Numbers that all samples share, by `angles.shared_numbers`.

    Attributes:
        sums: Cosine and sine of half of every sum, its two shears, -tan(a/2), and the factor of a
            scaled rotation's gradient, (sums, 6).
        phases: Cosine, sine - cosine and sine + cosine of every row, and the same times the
            product of scaled cosines, (layers · 6 · 2^n,).
        products: Product of scaled cosines per layer; the last number is 0 if one is too small,
            else 1, (layers + 1,).
    """

    sums: Any
    phases: Any
    products: Any


class Block(NamedTuple):
    """One block of samples in a workspace.

    Attributes:
        workspace: Rows of lanes, one lane per sample.
        lanes: Distance between rows.
        width: Number of lanes to process, whole vectors.
        vector: Numbers in a vector.
        start: First sample.
        count: Number of samples.
    """

    workspace: Any
    lanes: int
    width: int
    vector: int
    start: int
    count: int


class PassData(NamedTuple):
    """Operands of the sweeps that run a pass (see `passes.make_passes`).

    Attributes:
        workspace: Workspace of the thread.
        lanes: Distance between rows.
        width: Number of lanes to process.
        plane: Distance between the planes of a state.
        rows: Positions of the rows of every pass.
        passes: Table of passes.
        phases: Phases of `SharedNumbers`.
        size: 2^n.
        is_scaled: Whether rotations run in scaled form.
        gradients: Position of the gradients of a pass's rotations.
        phase_gradients: Accumulator of the gradients of phases, float64.
        group_at: Position of the group's part of it.
    """

    workspace: Any
    lanes: int
    width: int
    plane: int
    rows: Any
    passes: Any
    phases: Any
    size: int
    is_scaled: Any
    gradients: int
    phase_gradients: Any
    group_at: int


# Tables in the order in which `KernelPlan.tables` concatenates their integers. The integers begin
# with the bounds of these tables.
PASSES, ROWS, ROTATIONS, ANGLES, SCALED_LAYERS, TERM_STARTS, MEMBERS = range(7)
TERMS, READOUT, AMPLITUDES, FLAGS, SIZES, PLACES = range(7, 13)
SHARED_SCALED, ENTRIES, PHASES, ORDERS = range(13, 17)
IS_STRINGS, IS_ALL_INPUTS, IS_ALL_VALUES, FILLS_REAL, FILLS_IMAG, ENDS_WITH_READOUT = range(6)


@compiled(inline="always", counts=False)
def line(integers, number):
    """Return a table of the plan as a flat array."""
    first = integers[number]
    return part(integers, first, (integers[number + 1] - first,))


@compiled(inline="always", counts=False)
def rows_of(integers, number, width):
    """Return a table of the plan with rows of `width` integers."""
    first = integers[number]
    return part(integers, first, ((integers[number + 1] - first) // width, width))


@compiled(counts=False)
def sizes_of(integers):
    """Return the `Sizes` of a plan."""
    n = line(integers, SIZES)
    return Sizes(n[0], n[1], n[2], n[3])


@compiled(counts=False)
def places_of(integers):
    """Return the `Places` of a plan."""
    n = line(integers, PLACES)
    return Places(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8])


@compiled(inline="always", counts=False)
def passes_of(integers):
    """Return the table of passes."""
    return rows_of(integers, PASSES, PASS_WIDTH)


@compiled(inline="always", counts=False)
def rotations_of(integers):
    """Return the table of rotations."""
    return rows_of(integers, ROTATIONS, ROTATION_WIDTH)


@compiled(counts=False)
def has(integers, flag):
    """Return a flag of the plan, by its position in `Flags`."""
    return line(integers, FLAGS)[flag] != 0


@compiled(inline="always", counts=False)
def terms_of(integers, scales):
    """Return the links of inputs and terms."""
    pairs = rows_of(integers, TERMS, 2)
    return Links(pairs, part(scales, 0, (len(pairs),)), has(integers, IS_ALL_INPUTS))


@compiled(inline="always", counts=False)
def readout_of(integers, scales):
    """Return the links of read-out values and rows."""
    pairs, first = rows_of(integers, READOUT, 2), len(rows_of(integers, TERMS, 2))
    return Links(pairs, part(scales, first, (len(pairs),)), has(integers, IS_ALL_VALUES))


@compiled(inline="always", counts=False)
def amplitudes_of(integers, scales, is_whole):
    """Return the links of inputs and initial amplitudes."""
    pairs = rows_of(integers, AMPLITUDES, 2)
    first = len(rows_of(integers, TERMS, 2)) + len(rows_of(integers, READOUT, 2))
    return Links(pairs, part(scales, first, (len(pairs),)), is_whole)


@compiled(inline="always", counts=False)
def shared_tables_of(integers, scales):
    """Return the fields of the `SharedTables` of a plan, as a plain tuple."""
    sizes, entries = sizes_of(integers), rows_of(integers, ENTRIES, 2)
    end = len(scales) - len(entries)
    return (
        part(scales, end - sizes.n_sums, (sizes.n_sums,)),
        rows_of(integers, SHARED_SCALED, 2),
        entries,
        part(scales, end, (len(entries),)),
        rows_of(integers, PHASES, 3),
        rows_of(integers, ORDERS, 1 << sizes.n_qubits),
    )


@compiled(inline="always", counts=False)
def gradients_of(sums, n_groups, sizes):
    """Split `Operands.sums` into gradients of sums and of phases."""
    of_sums, of_phases = n_groups * sizes.n_sums, n_groups * (sizes.n_layers << sizes.n_qubits)
    return part(sums, 0, (n_groups, sizes.n_sums)), part(sums, of_sums, (of_phases,))
