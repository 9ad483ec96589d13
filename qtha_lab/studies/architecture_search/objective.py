"""Search objectives without a language model: fit a bottleneck map, with held-out inputs.

Half of the inputs train the angles; the other half selects the circuit.
"""

from torch import Tensor

from qtha_lab.adapters.bottleneck_regression import (
    SAMPLES,
    Surrogate,
    silu_surrogate,
    surrogates_of_run,
)
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z
from qtha_lab.studies.architecture_search.supernet import Cost


def costs_of(on: str, n_qubits: int, engine: str, seed: int = 0) -> tuple[Cost, Cost]:
    """Return the training cost and the validation cost of a search.

    Each cost is the mean over all maps; the two use disjoint halves of the inputs.

    Raises:
        Refusal: If the run does not exist, or its bottleneck size differs from `n_qubits`.
    """
    if on == "surrogate":
        tasks = [silu_surrogate(n_qubits, seed, 2 * SAMPLES)]
    else:
        tasks = list(surrogates_of_run(on, seed, 2 * SAMPLES))
        if tasks[0].inputs.shape[1] != n_qubits:
            raise Refusal(
                f"n_qubits must equal the bottleneck r={tasks[0].inputs.shape[1]} of run "
                f"{on!r}, got {n_qubits}."
            )
    halves = [
        [Surrogate(task.inputs[part], task.targets[part]) for task in tasks]
        for part in (slice(None, SAMPLES), slice(SAMPLES, None))
    ]
    return _mean(halves[0], engine), _mean(halves[1], engine)


def _mean(tasks: list[Surrogate], engine: str) -> Cost:
    def cost(circuit: Circuit, angles: Tensor) -> Tensor:
        losses = [task.loss(expval_z(circuit, task.inputs, angles, engine)) for task in tasks]
        return sum(losses[1:], losses[0]) / len(losses)

    return cost
