"""There and back through a circuit, each as one compiled call: a small batch spends its time on what is around it."""

import numpy as np

from qtha_lab.simulators.cpu.addresses import numbers_at
from qtha_lab.simulators.cpu.angles import param_slopes, shared_numbers
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.kernel import walk
from qtha_lab.simulators.cpu.team import run_in_team

# among the operands of `kernel.walk`, behind its number and counters
QUBITS, NUMBERS, SUM_SLOPES, PHASE_SLOPES = 2, 6, 15, 16


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


@compiled
def there(threads, team, params_at, n_params, of_params, operands):
    """What all samples share, and then the values.

    Args:
        threads: As for `through`.
        team: As for `through`.
        params_at: Address of (n_params,) angles, in radians.
        n_params: How many.
        of_params: What sums are made of, as `Plan.of_params`.
        operands: Of `walk`, with numbers that are filled here.
    """
    offsets, scaled, entries, scales, places, orders = of_params
    size, numbers = 1 << operands[QUBITS], operands[NUMBERS]
    params = numbers_at(numbers, params_at, (n_params,))
    shared_numbers(params, offsets, scaled, entries, scales, places, orders, size, numbers)
    through(threads, team, operands)


@compiled
def back(threads, team, of_params, slopes, operands):
    """The slopes of inputs, and then those of params.

    Args:
        threads: As for `through`.
        team: As for `through`.
        of_params: As for `there`.
        slopes: Those of params, (n_params,), which are filled.
        operands: Of `walk`, backward.
    """
    through(threads, team, operands)
    _, _, entries, scales, places, orders = of_params
    sums, phases, size = operands[SUM_SLOPES], operands[PHASE_SLOPES], 1 << operands[QUBITS]
    param_slopes(sums, phases, entries, scales, places, orders, size, slopes)
