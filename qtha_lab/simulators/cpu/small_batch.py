"""Forward and backward pass as one compiled call each, for small batches."""

import numpy as np

from qtha_lab.simulators.cpu.angles import param_gradients, shared_numbers
from qtha_lab.simulators.cpu.array_pointers import numbers_at, part
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.kernel import gradients_of, sizes, table, walk
from qtha_lab.simulators.cpu.threads import run_in_team

# positions among the operands of `kernel.walk` after its number and counters
INTEGERS, SCALES, GROUPS, NUMBERS, RESULTS, SUMS = 0, 1, 3, 10, 11, 13


@compiled
def through(threads, team, operands):
    """Run `walk` on one thread, or on several threads of a team.

    Args:
        threads: Number of threads, this one included.
        team: Addresses of the team, by `threads.addresses`; unused for one thread.
        operands: Operands of `walk` after its number and counters.
    """
    counters = np.zeros(threads, np.int64)
    if threads == 1:
        walk(0, counters, *operands)
    else:
        run_in_team(walk, team, threads, (counters, *operands))


@compiled(inline="always")
def _of_params(integers, scales):
    """Return the parts of `Plan.of_params` that forward and backward pass use.

    These are constant parts of sums, entries and their scales, phases and the order of rows.
    """
    n_qubits, n_sums, _, _ = sizes(integers)
    entries = table(integers, 13, 2)
    behind = len(scales) - len(entries)
    return (
        part(scales, behind - n_sums, (n_sums,)),
        entries,
        part(scales, behind, (len(entries),)),
        table(integers, 14, 3),
        table(integers, 15, 1 << n_qubits),
    )


@compiled
def there(threads, team, params_at, operands):
    """Compute the numbers that all samples share, then the values.

    Args:
        threads: As for `through`.
        team: As for `through`.
        params_at: Address of the trainable angles, (n_params,), in radians.
        operands: Operands of `walk`; its `numbers` are filled here.
    """
    integers, scales, numbers = operands[INTEGERS], operands[SCALES], operands[NUMBERS]
    n_qubits, _, _, n_params = sizes(integers)
    offsets, entries, of_entries, places, orders = _of_params(integers, scales)
    params, scaled = numbers_at(numbers, params_at, (n_params,)), table(integers, 12, 2)
    shared_numbers(
        params, offsets, scaled, entries, of_entries, places, orders, 1 << n_qubits, numbers
    )
    through(threads, team, operands)


@compiled
def back(threads, team, gradients, operands):
    """Compute the gradients of inputs, then those of params.

    Args:
        threads: As for `through`.
        team: As for `through`.
        gradients: Output: gradients of params, (n_params,).
        operands: Operands of `walk` for the backward pass.
    """
    through(threads, team, operands)
    gradients_of_params(gradients, operands)


@compiled
def gradients_of_params(gradients, operands):
    """Compute the gradients of params from the accumulators of `walk`; operands as for `back`."""
    integers = operands[INTEGERS]
    n_qubits, n_sums, n_layers, _ = sizes(integers)
    size, n_groups = 1 << n_qubits, operands[GROUPS]
    sums, phases = gradients_of(operands[SUMS], n_groups, n_sums, n_layers * size)
    _, entries, of_entries, places, orders = _of_params(integers, operands[SCALES])
    param_gradients(sums, phases, entries, of_entries, places, orders, size, gradients)
