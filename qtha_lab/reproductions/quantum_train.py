"""Quantum-Train: the update of a layer generated from a circuit.

The generator is a network or a tensor train.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

METHODS = {
    "circuit": "quantum_train(chunk=64)",
    "mps": "quantum_train(chunk=64,mapping=mps)",
    "classical": "quantum_train(chunk=64,generator=classical)",
    "frozen": "quantum_train(chunk=64,train_generator=false)",
}


@reproduction(
    name="quantum_train",
    title="Quantum-Train, with MPS mapping and distributed circuits",
    arxiv="2405.11304",
    claim=(
        "A circuit of a few qubits and a small mapping train the weights of a network with a"
        " fraction of its numbers."
    ),
    works="method `quantum_train`, with `mapping=mps` and `n_blocks` (2409.06992)",
    source="papers 2405.11304 and 2409.06992; hidden widths [R]",
    control=(
        "a classical distribution of as many numbers in the circuit's place, the circuit untrained"
    ),
    data=DATA,
    minutes=12,
    arms={
        "circuit": "weights from a circuit and a network",
        "mps": "from a circuit and a tensor train",
        "classical": "from as many classical numbers",
        "frozen": "from the circuit as drawn",
    },
    claims=[
        PaperClaim(
            "circuit",
            "classical",
            "test_loss",
            "the circuit is better than classical numbers in its place",
        ),
        PaperClaim("circuit", "frozen", "test_loss", "training the circuit lowers the loss"),
        PaperClaim(
            "mps",
            "circuit",
            "test_loss",
            "a tensor train is no worse than the network by 0.05 nat",
            margin=0.05,
        ),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def quantum_train(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one generator with one seed."""
    return experiment_on(settings, METHODS[arm], seed, quick)
