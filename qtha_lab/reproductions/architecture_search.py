"""Quantum architecture search: a noise-aware supernet against a fixed circuit and random search."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log
from qtha_lab.simulators import expval_z
from qtha_lab.studies.architecture_search import SearchBudget, SearchResult, Space, search
from qtha_lab.studies.architecture_search.supernet import Cost
from qtha_lab.tasks.problems.small_circuit_labels import LabelledPoints, labelled_points

ENGINE = "density:noise(depolarizing_1q=0.05,depolarizing_2q=0.2)"
ARMS = {
    "search": "the best of 500 circuits by the supernet's angles, trained on",
    "random_search": (
        "eight random circuits trained alone, at as many evaluations; the best of them"
    ),
    "baseline": "RY and a chain of CNOTs, three layers",
    "product": "RY alone, three layers",
}


@reproduction(
    name="architecture_search",
    title="Quantum architecture search",
    arxiv="2010.10217",
    claim=(
        "A circuit that a supernet finds with noise in the loop classifies better under that noise"
        " than a fixed one."
    ),
    paper_says="H₂ ends at -1.1362 Ha [C]",
    works="qtha-lab search, ansatz searched(code=…), engine density:noise(…)",
    source=(
        "2010.10217 (abstract) and its code: three qubits and layers, sizes, Adam at 0.05; noise as"
        " the chance that a gate leaves its qubits fully mixed, and re-uploading of the data, are"
        " ours [R]"
    ),
    control="a fixed circuit, one without CNOTs, and random search at as many evaluations",
    data="points that a circuit of three qubits labels, 100 each to train, choose and test on",
    minutes=25,
    arms=ARMS,
    claims=[
        PaperClaim(
            "search",
            "baseline",
            "accuracy",
            "search is more accurate under noise than the fixed circuit",
            from_paper=True,
        ),
        PaperClaim("search", "random_search", "accuracy", "it is more accurate than random search"),
        PaperClaim(
            "search", "product", "accuracy", "it is more accurate than a circuit without CNOTs"
        ),
        PaperClaim(
            "baseline",
            "product",
            "accuracy",
            "the fixed circuit is more accurate than one without CNOTs",
        ),
    ],
    steps=(400, 12),
)
def architecture_search(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Evaluate one arm on test points, after one search per seed for all arms.

    The test points are used for no choice.
    """
    winner, losses = _searched(seed, quick, log.steps)
    this = winner[list(ARMS).index(arm)]
    circuit, test = Space(3, 3).circuit(this.point), _points(seed, quick)[2]
    for step in log.course() if arm == "search" else ():
        log.train(step, loss=losses[step - 1])  # of the supernet, one circuit per step
    with torch.no_grad():
        z = expval_z(circuit, test.inputs, this.angles, ENGINE)[:, -1]
    accuracy = ((z > 0).double() == test.labels).double().mean().item()
    log.evaluate(log.steps, loss=this.cost, accuracy=accuracy)
    log.note(f"{this.code}, {this.n_cnots} CNOTs")
    log.end(
        trainable_parameters=circuit.n_params,
        learning_rate=SearchBudget.learning_rate,
        accuracy=accuracy,
        cnots=this.n_cnots,
    )


def _points(seed: int, quick: bool) -> list[LabelledPoints]:
    return labelled_points((20, 20, 20) if quick else (100, 100, 100), seed)


@cache
def _searched(seed: int, quick: bool, steps: int) -> tuple[list[SearchResult], list[float]]:
    """Return the search result and its controls, and the losses of the supernet."""
    train, validate, _ = map(_cost, _points(seed, quick))
    losses: list[float] = []
    plan = SearchBudget(
        steps=steps, candidates=8 if quick else 500, finetune_steps=5 if quick else 200, seed=seed
    )
    result = search(Space(3, 3), train, validate, plan, lambda step, loss: losses.append(loss))
    return result, losses


def _cost(points: LabelledPoints) -> Cost:
    """Return the cross entropy of the last qubit's probability of 0."""

    def cost(circuit: Circuit, angles: Tensor) -> Tensor:
        chance = (1 + expval_z(circuit, points.inputs, angles, ENGINE)[:, -1]) / 2
        return torch.nn.functional.binary_cross_entropy(chance.clamp(1e-6, 1 - 1e-6), points.labels)

    return cost
