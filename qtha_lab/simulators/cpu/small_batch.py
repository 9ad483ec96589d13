"""Forward and backward pass as one compiled call each, for small batches."""

import numpy as np

from qtha_lab.simulators.cpu.angles import param_gradients, shared_numbers
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.kernel import run_blocks
from qtha_lab.simulators.cpu.records import Operands, gradients_of, shared_tables_of, sizes_of
from qtha_lab.simulators.cpu.threads import run_in_team
from qtha_lab.simulators.cpu.vectors import numbers_at


@compiled
def evaluate_blocks(threads, team, operands):
    """Run `kernel.run_blocks` on one thread, or on several threads of a team.

    Args:
        threads: Number of threads, this one included.
        team: Addresses of the team, by `threads.addresses`; unused for one thread.
        operands: Fields of `records.Operands`, a plain tuple.
    """
    counters = np.zeros(threads, np.int64)
    if threads == 1:
        run_blocks(np.int64(0), counters, operands)  # a literal 0 would compile a second kernel
    else:
        run_in_team(run_blocks, team, threads, (counters, operands))


@compiled
def forward(threads, team, params_at, operands):
    """Compute the numbers that all samples share, then the values.

    Args:
        threads: As for `evaluate_blocks`.
        team: As for `evaluate_blocks`.
        params_at: Address of the trainable angles, (n_params,), in radians.
        operands: As for `evaluate_blocks`; the shared numbers are filled here.
    """
    call = Operands(*operands)
    sizes = sizes_of(call.integers)
    params = numbers_at(call.numbers, params_at, (sizes.n_params,))
    tables = shared_tables_of(call.integers, call.scales)
    shared_numbers(params, tables, 1 << sizes.n_qubits, call.numbers)
    evaluate_blocks(threads, team, operands)


@compiled
def backward(threads, team, gradients, operands):
    """Compute the gradients of inputs, then those of params.

    Args:
        threads: As for `evaluate_blocks`.
        team: As for `evaluate_blocks`.
        gradients: Output: gradients of params, (n_params,).
        operands: As for `evaluate_blocks`, for the backward pass.
    """
    evaluate_blocks(threads, team, operands)
    gradients_of_params(gradients, operands)


@compiled
def gradients_of_params(gradients, operands):
    """Compute the gradients of params from `Operands.sums`; operands as for `backward`."""
    call = Operands(*operands)
    sizes = sizes_of(call.integers)
    sums, phases = gradients_of(call.sums, call.n_groups, sizes)
    tables = shared_tables_of(call.integers, call.scales)
    param_gradients(sums, phases, tables, 1 << sizes.n_qubits, gradients)
