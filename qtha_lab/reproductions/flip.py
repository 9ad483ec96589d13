"""FLIP: initial angles learnt on small graphs, used on larger graphs.

The control is a table of constants, learnt on the same graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qtha_lab.adapters.initialisation.angles.pretraining import (
    AngleModel,
    MetaTraining,
    Problem,
    train_angle_model,
)
from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log, minimised_costs
from qtha_lab.simulators import expval
from qtha_lab.tasks.problems.hamiltonians import Graph, random_graph

LAYERS = 2
RATE = 0.05  # of Adam on the test graphs
TARGET = 0.95  # of the largest cut


@reproduction(
    name="flip",
    title="Learnt starts (FLIP)",
    arxiv="2103.08572",
    claim="Angles that one model learns on small problems start larger ones better than random "
    "angles do.",
    works="qtha-lab init learn, angles=flip(FILE) of every method with a circuit",
    source="2103.08572 (abstract); network, steps and sizes [R]",
    control="uniform and small angles; a table with a constant for each kind of gate and layer, "
    "learnt alike",
    data="largest cuts of random graphs, learnt on 4 to 6 nodes, tried on 8 and 10",
    minutes=10,
    arms={
        "uniform": "angles uniform in ± π",
        "small": "angles N(0, 0.1)",
        "table": "four constants, learnt",
        "network": "a network of the gates' descriptors, learnt",
        "weighted_table": "four constants, on weighted graphs",
        "weighted_network": "the network, which reads the weights, on weighted graphs",
    },
    claims=[
        PaperClaim("network", "uniform", "first_ratio",
              "the network starts at larger cuts than uniform angles", better="higher",
              from_paper=True),
        PaperClaim("network", "uniform", "steps_to_target", "it needs fewer steps than they do"),
        PaperClaim("network", "small", "first_ratio",
              "it starts at larger cuts than small angles", better="higher"),
        PaperClaim("network", "table", "first_ratio",
              "it starts at larger cuts than four constants", better="higher"),
        PaperClaim("network", "table", "steps_to_target",
              "it needs fewer steps than four constants"),
        PaperClaim("weighted_network", "weighted_table", "first_ratio",
              "with weights it starts at larger cuts than four "
              "constants", better="higher"),
        PaperClaim("weighted_network", "weighted_table", "steps_to_target",
              "with weights it needs fewer steps than four "
              "constants"),
    ],
    steps=(60, 20),
)  # fmt: skip
def flip(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Initialise the angles of each graph by the arm, then train by Adam.

    Results are means over graphs that were not used for learning.
    """
    weighted = arm.startswith("weighted")
    sizes, count = ((6, 7), 2) if quick else ((8, 10), 8)
    graphs = [random_graph(n, 5000 + 100 * seed + k, weighted) for n in sizes for k in range(count)]
    model = (
        _model(seed, quick, weighted, table=arm.endswith("table"))
        if arm not in ("uniform", "small")
        else None
    )
    curves = [_curve(graph, _start(arm, model, graph, seed), log.steps) for graph in graphs]
    mean = np.mean(curves, axis=0)
    log.evaluate(0, loss=1 - mean[0], cut_ratio=mean[0])
    for step in log.course():
        log.train(step, loss=1 - mean[step])
    log.evaluate(log.steps, loss=1 - mean[-1], cut_ratio=mean[-1])
    reached = _reached(curves, log.steps)
    trained = 0 if model is None else sum(p.numel() for p in model.parameters())
    log.end(
        trainable_parameters=trained,
        learning_rate=RATE,
        first_ratio=mean[0],
        steps_to_target=float(np.median(reached)),
    )


def steps_by_size(
    seeds: int = 5,
    arms: Sequence[str] = ("uniform", "small", "table", "network"),
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Return the steps to the target per size, as points of `figures.steps_to_target`.

    Runs all optimisations (minutes).
    """
    sizes, count, steps = ((6, 7), 2, 20) if quick else ((8, 10), 8, 60)
    points = []
    for arm in arms:
        for seed in range(seeds):
            learnt = arm not in ("uniform", "small")
            weighted = arm.startswith("weighted")
            model = _model(seed, quick, weighted, arm.endswith("table")) if learnt else None
            for n in sizes:
                graphs = [random_graph(n, 5000 + 100 * seed + k, weighted) for k in range(count)]
                curves = [_curve(g, _start(arm, model, g, seed), steps) for g in graphs]
                points.append(
                    {
                        "label": arm,
                        "n_nodes": n,
                        "seed": seed,
                        "steps_to_target": float(np.median(_reached(curves, steps))),
                    }
                )
    return points


def _reached(curves: Sequence[Sequence[float]], steps: int) -> list[int]:
    """Return the step at which each curve reaches the target.

    A curve that never reaches it counts one more than all steps.
    """
    return [next((k for k, ratio in enumerate(c) if ratio >= TARGET), steps + 1) for c in curves]


@cache
def _model(seed: int, quick: bool, weighted: bool, table: bool) -> AngleModel:
    """Return the angle model learnt on 18 graphs of 4 to 6 nodes."""
    count, epochs = (1, 4) if quick else (6, 30)
    graphs = [random_graph(n, 100 * seed + k, weighted) for n in (4, 5, 6) for k in range(count)]
    return train_angle_model(
        [problem(g) for g in graphs], MetaTraining(epochs=epochs, seed=seed), table=table
    )


def circuit_of(graph: Graph) -> Circuit:
    """Build the QAOA circuit with an angle per edge and node in each layer.

    All qubits start in |+⟩. Each layer has a ZZ rotation per edge and an X rotation per node.

    Example:
        >>> circuit_of(random_graph(3, seed=0)).n_qubits
        3
    """
    gates = [Gate("Hadamard", node) for node in range(graph.n)]
    angles = map(Angle.param, range(LAYERS * (len(graph.edges) + graph.n)))
    for _ in range(LAYERS):
        gates += [Gate("IsingZZ", edge, next(angles)) for edge in graph.edges]
        gates += [Gate("RX", node, next(angles)) for node in range(graph.n)]
    return Circuit(graph.n, gates)


def problem(graph: Graph) -> Problem:
    """Return the problem of minus the mean cut, with edge weights as features.

    The cost counts edges. The weight of an edge accompanies its angle.
    """
    circuit = circuit_of(graph)
    strings = [f"Z{a} Z{b}" for a, b in graph.edges]
    weights, none = (
        torch.tensor(graph.weights, dtype=torch.float64),
        torch.empty(0, dtype=torch.float64),
    )

    def cost(angles: Tensor) -> Tensor:
        return -((1 - expval(circuit, strings, none, angles)) / 2) @ weights

    per_layer = len(graph.edges) + graph.n
    instance = {
        layer * per_layer + k: w for layer in range(LAYERS) for k, w in enumerate(graph.weights)
    }
    return Problem(circuit, cost, instance)


def _start(arm: str, model: AngleModel | None, graph: Graph, seed: int) -> Tensor:
    of = problem(graph)
    if model is not None:
        return model.angles(of.circuit, of.instance)
    random, count = np.random.default_rng([seed, graph.n, len(graph.edges)]), of.circuit.n_params
    start = (
        random.uniform(-np.pi, np.pi, count) if arm == "uniform" else random.normal(0, 0.1, count)
    )
    return torch.from_numpy(start)


def _curve(graph: Graph, start: Tensor, steps: int) -> list[float]:
    """Return the cut ratio at initialisation and after each step.

    The ratio is the mean cut over the largest cut.
    """
    costs = minimised_costs(problem(graph).cost, start, steps, RATE)
    return [-cost / graph.best_cut for cost in costs]
