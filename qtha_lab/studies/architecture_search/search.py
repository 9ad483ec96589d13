"""Circuit search from supernet to fine-tuned circuit, with controls and objectives.

The steps are supernet training, ranking and fine-tuning of the best circuit. Random search gets
the same number of cost evaluations as the search.

Controls: random search (some circuits trained alone from scratch), RY with a chain of CNOTs, and
RY without CNOTs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qtha_lab.adapters.bottleneck_regression import (
    SAMPLES,
    Surrogate,
    silu_surrogate,
    surrogates_of_run,
)
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.simulators import expval_z
from qtha_lab.studies.architecture_search.supernet import Cost, Point, Space, Supernet, n_cnots

STARTS = 8  # among which a control divides the evaluations of the search


@dataclass(frozen=True)
class SearchBudget:
    """Sizes and settings of a search.

    Attributes:
        steps: Training steps of the supernet, one random circuit per step.
        candidates: Number of circuits ranked with the angles of the supernet.
        finetune_steps: Adam steps on the chosen circuit and on the controls with fixed circuits.
        ranking: "random" draws candidates at random; "nsga2" evolves them for low cost and few
            CNOTs (Optuna).
        experts: Number of sets of angles in the supernet.
        learning_rate: Learning rate of Adam in all stages.
        seed: Seed of all random numbers.
    """

    steps: int = 400
    candidates: int = 500
    finetune_steps: int = 100
    ranking: Literal["random", "nsga2"] = "random"
    experts: int = 5
    learning_rate: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class SearchResult:
    """A trained circuit with its validation cost.

    Attributes:
        name: "search", "random search", "baseline" or "product".
        point: Position in the search space.
        code: Code of the circuit, as in `ansatz=searched(code=…)`.
        angles: Trained angles, in radians.
        cost: Validation cost, which selected the circuit.
        n_cnots: Number of CNOTs in the circuit.
    """

    name: str
    point: Point
    code: str
    angles: Tensor
    cost: float
    n_cnots: int


def search(
    space: Space,
    train: Cost,
    validate: Cost,
    plan: SearchBudget | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> list[SearchResult]:
    """Search a circuit and return the result, followed by the three controls.

    Args:
        space: Search space.
        train: Cost that trains the angles.
        validate: Cost that selects circuits.
        plan: Sizes and settings of the search.
        on_step: Callback with the number and the cost of each supernet step.

    Raises:
        Refusal: If `plan.ranking` is "nsga2" and Optuna is not installed.
    """
    plan = plan or SearchBudget()
    net = Supernet(space, plan.experts, plan.seed)
    net.train(train, plan.steps, plan.learning_rate, on_step)
    rank = _bred if plan.ranking == "nsga2" else _draw
    point = rank(net, validate, plan)
    expert, _ = net.best(point, validate)
    result = _trained("search", space, point, net.of(point, expert), train, validate, plan)
    generator = torch.Generator().manual_seed(plan.seed)

    def draw() -> Point:
        return space.point(lambda count: int(torch.randint(count, (), generator=generator)))

    controls = [
        best_of_starts("random search", draw, space, train, validate, plan, generator),
        *(
            _trained(name, space, each, _uniform(space, generator), train, validate, plan)
            for name, each in (("baseline", space.baseline()), ("product", space.product()))
        ),
    ]
    return [result, *controls]


def finetune(
    circuit: Circuit, angles: Tensor, cost: Cost, steps: int, learning_rate: float
) -> Tensor:
    """Train the angles of one circuit with Adam and return them."""
    angles = angles.detach().clone().requires_grad_()
    adam = torch.optim.Adam([angles], learning_rate)
    for _ in range(steps):
        adam.zero_grad()
        cost(circuit, angles).backward()
        adam.step()
    return angles.detach()


def best_of_starts(
    name: str,
    draw: Callable[[], Point],
    space: Space,
    train: Cost,
    validate: Cost,
    plan: SearchBudget,
    generator: torch.Generator,
) -> SearchResult:
    """Train circuits separately on equal shares of the search's evaluations; return the best.

    Args:
        name: Name of the result.
        draw: Returns the circuit of the next start.
        space: Search space of the circuits.
        train: Cost that trains the angles.
        validate: Cost that selects the best start.
        plan: Sizes and settings of the search.
        generator: Draws the initial angles.
    """
    evaluations = plan.steps // 2 * (2 + plan.experts) + plan.candidates * plan.experts
    steps = max(1, (evaluations + plan.finetune_steps) // STARTS)
    tried = [
        _trained(name, space, draw(), _uniform(space, generator), train, validate, plan, steps)
        for _ in range(STARTS)
    ]
    return min(tried, key=lambda trial: (trial.cost, trial.n_cnots))


def _trained(
    name: str,
    space: Space,
    point: Point,
    angles: Tensor,
    train: Cost,
    validate: Cost,
    plan: SearchBudget,
    steps: int | None = None,
) -> SearchResult:
    circuit = space.circuit(point)
    steps = plan.finetune_steps if steps is None else steps
    angles = finetune(circuit, angles, train, steps, plan.learning_rate)
    with torch.no_grad():
        cost = validate(circuit, angles).item()
    return SearchResult(name, point, space.code(point), angles, cost, n_cnots(point))


def _uniform(space: Space, generator: torch.Generator) -> Tensor:
    count = space.n_qubits * space.n_layers
    return 2 * math.pi * torch.rand(count, generator=generator, dtype=torch.float64)


def _draw(net: Supernet, validate: Cost, plan: SearchBudget) -> Point:
    """Return the best of some random circuits; break ties by fewest CNOTs."""
    points = [net.draw() for _ in range(plan.candidates)]
    return min(points, key=lambda point: (net.best(point, validate)[1], n_cnots(point)))


def _bred(net: Supernet, validate: Cost, plan: SearchBudget) -> Point:
    """Return the cheapest circuit that NSGA-II finds for low cost and few CNOTs."""
    require_extra("sweep", "Ranking nsga2", "optuna")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    points: dict[int, Point] = {}

    def objective(trial: "optuna.Trial") -> tuple[float, int]:
        number = iter(range(10**6))
        point = net.space.point(lambda n: trial.suggest_int(f"choice_{next(number)}", 0, n - 1))
        points[trial.number] = point
        return net.best(point, validate)[1], n_cnots(point)

    population = max(2, math.isqrt(plan.candidates))
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=plan.seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=plan.candidates)
    best = min(study.best_trials, key=lambda trial: tuple(trial.values))
    return points[best.number]


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
