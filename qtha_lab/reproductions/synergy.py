"""Synergistic pretraining: a matrix product state prepares a circuit, which is then trained."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from qtha_lab.adapters.initialisation.angles.mps import decompose
from qtha_lab.circuits import Angle, Circuit, general_two_qubit
from qtha_lab.circuits.ansatze import build_without_inputs
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log, minimised_costs
from qtha_lab.simulators import expval
from qtha_lab.tasks.problems.hamiltonians import (
    check_installed,
    ground_energy,
    ground_state_mps,
    ising_terms,
)

PREPARED, NEW = 3, 1  # layers for the state, and layers near the identity after them
DEEP = 10  # brickwork layers after the prepared ones, where gradients are measured
NEAR_IDENTITY = 0.01
RATES = (0.03, 0.01, 0.003, 0.001)  # every arm uses its best
BONDS = {"chi1": 1, "chi2": 2, "chi4": 4, "chi8": 8}


@reproduction(
    name="synergy",
    title="Tensor network, then circuit",
    arxiv="2208.13673",
    claim=(
        "A circuit that starts as an optimised matrix product state ends lower, the more so the"
        " larger the bond, and its gradients do not vanish with the number of qubits."
    ),
    works="angles=mps(RUN) and generator=mps of qpa and quantum_train; ansatz su4",
    source=(
        "2208.13673 (abstract), decomposition 1908.07958 and 2209.00595; task, layers and rates [R]"
    ),
    control=(
        "uniform and small angles, a product state (bond 1); the trend of gradients over n, in ten"
        " brickwork layers after the prepared ones"
    ),
    data="critical Ising chain of 8 spins, open",
    minutes=8,
    arms={
        "uniform": "all angles uniform in ± π",
        "small": "all angles N(0, 0.1)",
        "chi1": "a product state",
        "chi2": "a matrix product state of bond 2",
        "chi4": "of bond 4, in three layers of gates",
        "chi8": "of bond 8, in three layers of gates",
    },
    claims=[
        PaperClaim(
            "chi8",
            "uniform",
            "energy_error",
            "bond 8 ends lower than uniform angles",
            from_paper=True,
        ),
        PaperClaim("chi8", "small", "energy_error", "bond 8 ends lower than small angles"),
        PaperClaim(
            "chi8",
            "chi1",
            "energy_error",
            "bond 8 ends lower than a product state",
            from_paper=True,
        ),
        PaperClaim("chi2", "chi1", "start_error", "bond 2 starts lower than bond 1"),
        PaperClaim("chi4", "chi2", "start_error", "bond 4 starts lower than bond 2"),
        PaperClaim("chi8", "chi4", "start_error", "bond 8 starts lower than bond 4"),
        PaperClaim(
            "uniform",
            5.0,
            "gradient_decay",
            "uniform: squared gradients fall 5-fold from n = 6 to 12",
            better="higher",
        ),
        PaperClaim(
            "chi1", 2.0, "gradient_decay", "bond 1: they fall less than 2-fold", better="lower"
        ),
        PaperClaim(
            "chi2",
            1.0,
            "gradient_decay",
            "bond 2: they do not fall",
            better="lower",
            from_paper=True,
        ),
    ],
    steps=(50, 10),
    check=check_installed,
)
def synergy(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Minimise the energy by Adam at each rate; the best rate is the arm's result."""
    n = 6 if quick else 8
    start, energy = _start(arm, n, seed), _energy(n)
    ground = ground_energy(n)
    error = (energy(start).item() - ground) / abs(ground)
    log.evaluate(0, loss=error, energy_error=error)
    courses = {rate: minimised_costs(energy, start, log.steps, rate) for rate in RATES}
    rate = min(courses, key=lambda each: courses[each][-1])
    relative = [(value - ground) / abs(ground) for value in courses[rate]]
    for step in log.course():
        log.train(step, loss=relative[step])
    log.evaluate(log.steps, loss=relative[-1], energy_error=relative[-1])
    prepared = (energy(_start(arm, n, seed, spread=0)).item() - ground) / abs(ground)
    small, large = (4, 8) if quick else (6, 12)
    log.end(
        trainable_parameters=len(start),
        learning_rate=rate,
        start_error=prepared,
        gradient_decay=squared_gradient(arm, small, seed) / squared_gradient(arm, large, seed),
    )


def _energy(n: int) -> Callable[[Tensor], Tensor]:
    return _energy_of(build_without_inputs("su4", n, PREPARED + NEW))


def _energy_of(circuit: Circuit) -> Callable[[Tensor], Tensor]:
    strings, factors = ising_terms(circuit.n_qubits)
    weights, none = torch.tensor(factors, dtype=torch.float64), torch.empty(0, dtype=torch.float64)
    return lambda angles: expval(circuit, strings, none, angles) @ weights


def _start(
    arm: str, n: int, seed: int, spread: float = NEAR_IDENTITY, new_layers: int = NEW
) -> Tensor:
    """Return the initial angles of an arm: prepared layers, and N(0, spread) for the rest.

    Arms without a tensor network draw all angles.
    """
    random = np.random.default_rng(seed)
    per_layer = 15 * (n - 1)
    size = per_layer * (PREPARED + new_layers)
    if arm == "small":
        return torch.from_numpy(random.normal(0, 0.1, size))
    if arm == "uniform":
        return torch.from_numpy(random.uniform(-math.pi, math.pi, size))
    angles = random.normal(0, spread, size)
    prepared = decompose(ground_state_mps(n, BONDS[arm]), PREPARED).angles
    angles[: len(prepared)] = prepared
    return torch.from_numpy(angles)


def squared_gradient(arm: str, n: int, seed: int) -> float:
    """Return the mean squared energy gradient over the angles of the brickwork layers."""
    angles = _start(arm, n, seed, new_layers=DEEP).requires_grad_()
    (gradient,) = torch.autograd.grad(_energy_of(deep_circuit(n))(angles), angles)
    return gradient[15 * (n - 1) * PREPARED :].square().mean().item()


@functools.cache
def deep_circuit(n: int) -> Circuit:
    """Build the prepared staircases and ten brickwork layers, as deep as a plateau needs."""
    staircases = build_without_inputs("su4", n, PREPARED)
    pairs = [(wire, wire + 1) for first in (0, 1) for wire in range(first, n - 1, 2)]
    angles = map(Angle.param, count(staircases.n_params))
    return staircases.then(
        gate for pair in DEEP * pairs for gate in general_two_qubit(pair, list(islice(angles, 15)))
    )
