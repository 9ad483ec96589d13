"""There and back through a circuit, each as one compiled call: a small batch spends its time on what is around it."""

import numpy as np

from qtha_lab.simulators.cpu.angles import param_gradients, shared_numbers
from qtha_lab.simulators.cpu.array_pointers import numbers_at, part
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.kernel import gradients_of, sizes, table, walk
from qtha_lab.simulators.cpu.threads import run_in_team

# among the operands of `kernel.walk`, behind its number and counters
INTEGERS, SCALES, GROUPS, NUMBERS, RESULTS, SUMS = 0, 1, 3, 10, 11, 13


@compiled
def through(threads, team, operands):
    """`walk` on one thread, or on so many of a team.

    Args:
        threads: How many, this one included.
        team: Where it is found, as from `team.addresses`; of no account for one.
        operands: Of `walk` behind its number and counters.
    """
    counters = np.zeros(threads, np.int64)
    if threads == 1:
        walk(0, counters, *operands)
    else:
        run_in_team(walk, team, threads, (counters, *operands))


@compiled(inline="always")
def _of_params(integers, scales):
    """Parts of `Plan.of_params` that both ways use: constant parts of sums, entries and their scales, phases and their order."""
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
    """What all samples share, and then the values.

    Args:
        threads: As for `through`.
        team: As for `through`.
        params_at: Address of (n_params,) angles, in radians.
        operands: Of `walk`, with numbers that are filled here.
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
    """The slopes of inputs, and then those of params.

    Args:
        threads: As for `through`.
        team: As for `through`.
        gradients: Those of params, (n_params,), which are filled.
        operands: Of `walk`, backward.
    """
    through(threads, team, operands)
    gradients_of_params(gradients, operands)


@compiled
def gradients_of_params(gradients, operands):
    """The slopes of params, of what `walk` has left; operands as for `back`."""
    integers = operands[INTEGERS]
    n_qubits, n_sums, n_layers, _ = sizes(integers)
    size, n_groups = 1 << n_qubits, operands[GROUPS]
    sums, phases = gradients_of(operands[SUMS], n_groups, n_sums, n_layers * size)
    _, entries, of_entries, places, orders = _of_params(integers, operands[SCALES])
    param_gradients(sums, phases, entries, of_entries, places, orders, size, gradients)
