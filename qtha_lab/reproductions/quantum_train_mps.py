"""Quantum-Train with a matrix product state as the mapping and a circuit in two parts.

A small network for digits has all of its weights generated.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from qtha_lab.adapters import generate_into
from qtha_lab.reproductions.machinery.classification import classify
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log
from qtha_lab.tasks.problems.digits import PIXELS, digits

N_CLASSES, HIDDEN, SMALL_HIDDEN = 10, 32, 7
N_WEIGHTS = (PIXELS + 1) * HIDDEN + (HIDDEN + 1) * N_CLASSES  # 2,410
CHUNK, BOND_DIM, N_BLOCKS = 32, 4, 2  # 76 chunks, 7 qubits, in parts of 4 and 3
RATES = (0.01, 0.03, 0.1)  # the rate with the lower loss on evaluation rows is used
OPTIONS: dict[str, dict[str, Any]] = {
    "distributed": {"mapping": "mps", "n_blocks": N_BLOCKS},
    "one_circuit": {"mapping": "mps"},
    "mlp": {"n_blocks": N_BLOCKS},
    "classical": {"mapping": "mps", "generator": "classical"},
    "frozen": {"mapping": "mps", "n_blocks": N_BLOCKS, "train_generator": False},
}


@reproduction(
    name="quantum_train_mps",
    title="Quantum-Train with MPS mapping and distributed circuits",
    arxiv="2409.06992",
    claim=(
        "Circuits on small processors and a tensor network as the mapping train a network with a"
        " fraction of its numbers, as well as classical training."
    ),
    works="`quantum_train(mapping=mps,n_blocks=…)` and `generate_into(module)`",
    source="abstract, a third party's summary [P]; bond, cut, network and rates are ours [R]",
    control=(
        "the network itself, a network of as few numbers, one circuit, a network as the mapping,"
        " classical numbers, frozen angles"
    ),
    data="scikit-learn's digits (600 training rows, 8 × 8 pixels)",
    minutes=4,
    arms={
        "distributed": "weights from two circuits and a matrix product state",
        "network": "the network's own weights",
        "small_network": "a network that trains about as many numbers as `distributed`",
        "one_circuit": "from one circuit and a matrix product state",
        "mlp": "from two circuits and a network",
        "classical": "from as many classical numbers and a matrix product state",
        "frozen": "from two circuits of untrained angles and a matrix product state",
    },
    claims=[
        PaperClaim(
            "distributed",
            "network",
            "test_accuracy",
            "generated weights are within 2 points of trained ones",
            margin=0.02,
            chance=1 / N_CLASSES,
            from_paper=True,
        ),
        PaperClaim(
            "distributed",
            0.3,
            "parameter_share",
            "they train at most 30 % of the network's numbers",
            better="lower",
        ),
        PaperClaim(
            "distributed",
            "small_network",
            "test_accuracy",
            "they are more accurate than a network of as few numbers",
        ),
        PaperClaim(
            "distributed",
            "one_circuit",
            "test_accuracy",
            "two circuits are within 2 points of one",
            margin=0.02,
        ),
        PaperClaim(
            "distributed",
            "mlp",
            "test_accuracy",
            "a matrix product state is within 2 points of a network as the mapping",
            margin=0.02,
        ),
        PaperClaim(
            "distributed",
            "classical",
            "test_accuracy",
            "circuits are more accurate than classical numbers",
        ),
        PaperClaim(
            "distributed", "frozen", "test_accuracy", "training the angles increases accuracy"
        ),
    ],
    steps=(300, 40),
)
def quantum_train_mps(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Train one arm on the digits of a seed."""
    classify(lambda: _network(arm), digits(600, 300, seed), log, seed, RATES, N_WEIGHTS)


def _network(arm: str) -> nn.Module:
    """Create the network of an arm with random initial weights."""
    hidden = SMALL_HIDDEN if arm == "small_network" else HIDDEN
    layers = nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, N_CLASSES)
    network = nn.Sequential(*layers)
    if arm not in OPTIONS:
        return network
    return generate_into(network, chunk=CHUNK, bond_dim=BOND_DIM, **OPTIONS[arm])
