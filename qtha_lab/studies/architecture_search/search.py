"""A search from start to end: supernet, ranking, training of the best; and its controls at as many evaluations.

Controls: random search (some circuits trained alone from scratch), RY with a chain of CNOTs, and no CNOT at all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.studies.architecture_search.space import Point, Space, n_cnots
from qtha_lab.studies.architecture_search.supernet import Cost, Supernet

CIRCUITS_TRIED_BY_HAND = 8  # that random search divides its evaluations among


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        steps: Of the supernet, one circuit each.
        candidates: Circuits ranked with its angles.
        finetune_steps: Of Adam on a chosen circuit, and on each control.
        ranking: "random" draws candidates; "nsga2" breeds them for a low cost and few CNOTs (Optuna).
        experts: Sets of angles in the supernet.
        learning_rate: Of Adam, everywhere.
        seed: Of everything random.
    """

    steps: int = 400
    candidates: int = 500
    finetune_steps: int = 100
    ranking: Literal["random", "nsga2"] = "random"
    experts: int = 5
    learning_rate: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """A circuit and how it did.

    Attributes:
        name: "search", "random search", "baseline" or "product".
        point: In the space.
        code: For `ansatz=searched(code=…)`.
        angles: Trained, in radians.
        cost: On what it was chosen by.
        n_cnots: CNOTs in it.
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
    plan: Plan | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> list[Found]:
    """The circuit that a search finds, then the three controls.

    Args:
        space: Where to look.
        train: What angles are trained by.
        validate: What circuits are chosen by.
        plan: How much is done.
        on_step: Called with each step of the supernet and its cost.

    Raises:
        Refusal: If NSGA-II is asked for and Optuna is not installed.
    """
    plan = plan or Plan()
    net = Supernet(space, plan.experts, plan.seed)
    net.train(train, plan.steps, plan.learning_rate, on_step)
    rank = _bred if plan.ranking == "nsga2" else _draw
    point = rank(net, validate, plan)
    expert, _ = net.best(point, validate)
    result = _trained("search", space, point, net.of(point, expert), train, validate, plan)
    generator = torch.Generator().manual_seed(plan.seed)
    controls = [
        _by_hand(space, train, validate, plan, generator),
        *(
            _trained(name, space, each, _uniform(space, generator), train, validate, plan)
            for name, each in (("baseline", space.baseline()), ("product", space.product()))
        ),
    ]
    return [result, *controls]


def finetune(
    circuit: Circuit, angles: Tensor, cost: Cost, steps: int, learning_rate: float
) -> Tensor:
    """Angles after some steps of Adam.

    Args:
        circuit: Whose angles they are.
        angles: Where to start; left as they are.
        cost: What is brought down.
        steps: How many.
        learning_rate: Of Adam.
    """
    angles = angles.detach().clone().requires_grad_()
    adam = torch.optim.Adam([angles], learning_rate)
    for _ in range(steps):
        adam.zero_grad()
        cost(circuit, angles).backward()
        adam.step()
    return angles.detach()


def _trained(
    name: str, space: Space, point: Point, angles: Tensor, train: Cost, validate: Cost, plan: Plan,
    steps: int | None = None,
) -> Found:  # fmt: skip
    circuit = space.circuit(point)
    steps = plan.finetune_steps if steps is None else steps
    angles = finetune(circuit, angles, train, steps, plan.learning_rate)
    with torch.no_grad():
        cost = validate(circuit, angles).item()
    return Found(name, point, space.code(point), angles, cost, n_cnots(point))


def _uniform(space: Space, generator: torch.Generator) -> Tensor:
    count = space.n_qubits * space.n_layers
    return 2 * math.pi * torch.rand(count, generator=generator, dtype=torch.float64)


def _by_hand(
    space: Space, train: Cost, validate: Cost, plan: Plan, generator: torch.Generator
) -> Found:
    """Random circuits, each trained alone with its share of all evaluations; the best of them."""
    evaluations = plan.steps // 2 * (2 + plan.experts) + plan.candidates * plan.experts
    steps = max(1, (evaluations + plan.finetune_steps) // CIRCUITS_TRIED_BY_HAND)

    def below(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    tried = [
        _trained(
            "random search", space, space.point(below), _uniform(space, generator), train, validate,
            plan, steps,
        )
        for _ in range(CIRCUITS_TRIED_BY_HAND)
    ]  # fmt: skip
    return min(tried, key=lambda trial: (trial.cost, trial.n_cnots))


def _draw(net: Supernet, validate: Cost, plan: Plan) -> Point:
    """The best of some random circuits; of equal ones that with the fewest CNOTs."""
    points = [net.draw() for _ in range(plan.candidates)]
    return min(points, key=lambda point: (net.best(point, validate)[1], n_cnots(point)))


def _bred(net: Supernet, validate: Cost, plan: Plan) -> Point:
    """The cheapest of the circuits that NSGA-II breeds for a low cost and few CNOTs."""
    try:
        import optuna
    except ImportError:
        raise Refusal(
            "ranking nsga2 needs the package optuna: pip install 'qtha-lab[starts]'"
        ) from None
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
