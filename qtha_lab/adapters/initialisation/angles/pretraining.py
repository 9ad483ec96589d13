"""Train a model of initial angles for all circuits of a kind, over many problems.

    θ_k = D_φ(descriptor of angle k)
    meta-loss  Σ_problems Σ_{s=0..S} C(θ⁽ˢ⁾),   θ⁽ˢ⁺¹⁾ = θ⁽ˢ⁾ − η ∇C
    first order: dθ⁽ˢ⁾/dφ = dθ⁽⁰⁾/dφ

Two models exist: a small network, and as its control a table with a constant per gate kind and
layer.

Source:
    FLIP, arXiv:2103.08572. S = 3, η = 0.05, and a network 30-30 with ReLU under Adam at 3e-3 are
    ours [R]. The parallel linear path and the weight decay of the network are ours too [R]. They
    make a linear rule hold at other sizes.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor, nn

from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors, parse_json, shortened, write_atomically

N_NUMBERS = 5


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of a circuit's angles, one row per parameter.

    Attributes:
        kinds: Index of the gate kind and angle position among the known kinds.
        layers: Number of earlier gates of this kind on these wires.
        numbers: layer / layers, both wires / n, position in the gate / 2, and a number of the
            problem, such as the weight of an edge; all of order 1.
    """

    kinds: Int[Tensor, "n_params"]
    layers: Int[Tensor, "n_params"]
    numbers: Float[Tensor, "n_params numbers"]


def kinds_of(circuit: Circuit) -> list[str]:
    """List the kinds of trained angles in a circuit.

    A kind is a gate name, with the position of the angle if the gate has several.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> kinds_of(build("qtha", 3, 2)), kinds_of(build("strongly_entangling", 2, 1))
        (['CRZ', 'RY'], ['Rot.0', 'Rot.1', 'Rot.2'])
    """
    return sorted({kind for kind, *_ in _rows(circuit).values()})


def angle_descriptors(
    circuit: Circuit, kinds: list[str], instance: Mapping[int, float] | None = None
) -> Descriptors:
    """Compute the descriptors of a circuit's angles."""
    rows, instance = _rows(circuit), instance or {}
    if strange := sorted({row[0] for row in rows.values()} - set(kinds)):
        raise Refusal(
            f"The circuit must train angles of {', '.join(kinds)}, as in pretraining, got "
            f"{', '.join(strange)}. Choose a circuit of the same gates."
        )
    in_order = [rows[index] for index in range(circuit.n_params)]
    numbers = [[*row[2], float(instance.get(i, 0.0))] for i, row in enumerate(in_order)]
    return Descriptors(
        torch.tensor([kinds.index(row[0]) for row in in_order], dtype=torch.long),
        torch.tensor([row[1] for row in in_order], dtype=torch.long),
        torch.tensor(numbers, dtype=torch.float64).reshape(-1, N_NUMBERS),
    )


def _rows(circuit: Circuit) -> dict[int, tuple[str, int, tuple[float, ...]]]:
    """Return kind, layer and numbers of each parameter, from its first gate."""
    n = circuit.n_qubits
    totals = Counter((gate.name, gate.wires) for gate in circuit.gates if _trained(gate))
    before: Counter = Counter()
    rows: dict[int, tuple[str, int, tuple[float, ...]]] = {}
    for gate in circuit.gates:
        if not _trained(gate):
            continue
        place = gate.name, gate.wires
        layer, total = before[place], totals[place]
        before[place] += 1
        wires = (gate.wires[0] / n, gate.wires[-1] / n)
        for k, angle in enumerate(gate.angles):
            if angle.source == "param" and angle.index not in rows:
                kind = gate.name if len(gate.angles) == 1 else f"{gate.name}.{k}"
                numbers = (layer / total, *wires, k / 2)
                rows[angle.index] = kind, layer, numbers
    return rows


def _trained(gate) -> bool:
    return any(angle.source == "param" for angle in gate.angles)


WIDTH = 30
NETWORK_DECAY = 1.0  # times the learning rate, per step
FORM = "qtha-lab angles 1"


@dataclass(frozen=True)
class Problem:
    """Circuit with a cost function of its angles.

    Attributes:
        circuit: Circuit of the angles.
        cost: Differentiable function of angles (n_params,) in radians.
        instance: Number of the problem for some parameters, such as the weight of an edge.
    """

    circuit: Circuit
    cost: Callable[[Tensor], Tensor]
    instance: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class MetaTraining:
    """Settings of the meta-training.

    Attributes:
        epochs: Number of passes over the problems.
        inner_steps: S, steps of gradient descent in the meta-loss.
        inner_rate: η.
        learning_rate: Initial learning rate of Adam, with cosine decay to zero.
        seed: Seed of the model and of the order of problems.
    """

    epochs: int = 40
    inner_steps: int = 3
    inner_rate: float = 0.05
    learning_rate: float = 3e-3
    seed: int = 0


class AngleModel(nn.Module):
    """Model from descriptors to angles: a linear rule plus a network, or a table.

    Attributes:
        kinds: Known kinds of angles (see `descriptors.kinds_of`).
        n_layers: Number of layers in the table; 0 for a network.
    """

    def __init__(self, kinds: Sequence[str], n_layers: int = 0):
        super().__init__()
        self.kinds, self.n_layers = list(kinds), n_layers
        if n_layers:
            self.table = nn.Parameter(torch.zeros(len(kinds), n_layers, dtype=torch.float64))
            nn.init.normal_(self.table, std=0.1)
            return
        width = len(kinds) + N_NUMBERS
        layers = [nn.Linear(width, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.Linear(WIDTH, 1)).double()
        for tensor in self.network[-1].parameters():  # initially a linear rule
            nn.init.zeros_(tensor)
        self.rule = nn.Linear(width, 1).double()

    def forward(self, rows: Descriptors) -> Float[Tensor, "n_params"]:
        """Compute angles in radians."""
        if self.n_layers:
            return self.table[rows.kinds, rows.layers.clamp_max(self.n_layers - 1)]
        one_hot = nn.functional.one_hot(rows.kinds, len(self.kinds)).double()
        features = torch.cat([one_hot, rows.numbers], 1)
        return (self.network(features) + self.rule(features)).squeeze(1)

    @torch.no_grad()
    def angles(
        self, circuit: Circuit, instance: Mapping[int, float] | None = None
    ) -> Float[Tensor, "n_params"]:
        """Compute the initial angles of a circuit."""
        return self(angle_descriptors(circuit, self.kinds, instance))

    def save(self, file: Path) -> None:
        """Write a file that `angles=flip(FILE)` reads."""
        notes = {"form": FORM, "kinds": json.dumps(self.kinds), "n_layers": str(self.n_layers)}
        write_atomically(file, save(self.state_dict(), metadata=notes))

    @classmethod
    def load(cls, file: Path) -> "AngleModel":
        """Load a model from a file of `save`."""
        if not file.is_file():
            raise Refusal(
                f"{file} must be a file of trained angles, got no file. Write one with `qtha-lab "
                "init learn`."
            )
        try:
            with open_tensors(file) as saved:
                notes = saved.metadata() or {}
                tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
            if notes.get("form") != FORM:
                raise Refusal(
                    f"{file} must hold trained angles, got other tensors. Write one with "
                    "`qtha-lab init learn`."
                )
            with torch.device("meta"):  # no memory for the sizes that the file states
                model = cls(parse_json(notes["kinds"]), int(notes["n_layers"]))
            model.load_state_dict(tensors, assign=True)
        except (OSError, LookupError, RuntimeError, TypeError, ValueError) as problem:
            reason = shortened(" ".join(str(problem).split()), 120)
            raise Refusal(f"{shortened(file, 90)} cannot be read: {reason}") from None
        return model.double()


def train_angle_model(
    problems: Sequence[Problem],
    settings: MetaTraining | None = None,
    table: bool = False,
    on_epoch: Callable[[int, float], Any] = lambda epoch, loss: None,
) -> AngleModel:
    """Train a model on problems.

    Args:
        problems: Small problems; at least one.
        settings: Settings of the training.
        table: Whether to train the control: a constant per gate kind and layer.
        on_epoch: Callback with the epoch, from 1 on, and its mean meta-loss per problem and step.
    """
    settings = settings or MetaTraining()
    if not problems:
        raise Refusal("At least one problem must be given, got 0.")
    kinds = sorted({kind for problem in problems for kind in kinds_of(problem.circuit)})
    rows = [angle_descriptors(problem.circuit, kinds, problem.instance) for problem in problems]
    n_layers = 1 + max(int(row.layers.max()) for row in rows) if table else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = AngleModel(kinds, n_layers)
    adam = torch.optim.AdamW(_groups(model), settings.learning_rate)
    steps = settings.epochs * len(problems)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(steps, 1))
    order = torch.Generator().manual_seed(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        losses = []
        for k in torch.randperm(len(problems), generator=order).tolist():
            losses.append(_meta_step(model, problems[k], rows[k], settings))
            adam.step()
            adam.zero_grad()
            cosine.step()
        mean = sum(losses) / len(losses)
        if mean != mean:
            raise Refusal(
                f"The losses must be finite, got nan after epoch {epoch}. Lower inner_rate."
            )
        on_epoch(epoch, mean)
    return model


def _groups(model: AngleModel) -> list[dict[str, Any]]:
    """Build parameter groups with weight decay for the network only.

    So the network does not learn the part that the linear rule can express.
    """
    network = [p for name, p in model.named_parameters() if name.startswith("network")]
    rest = [p for name, p in model.named_parameters() if not name.startswith("network")]
    return [
        {"params": network, "weight_decay": NETWORK_DECAY},
        {"params": rest, "weight_decay": 0.0},
    ]


def _meta_step(
    model: AngleModel, problem: Problem, rows: Descriptors, settings: MetaTraining
) -> float:
    """Accumulate the meta-gradient of one problem, and return the mean loss per step."""
    start = model(rows)
    total, gradients = 0.0, torch.zeros_like(start)
    for loss, gradient, _ in descent(
        problem, start.detach(), settings.inner_steps, settings.inner_rate
    ):
        total += loss
        gradients += gradient
    start.backward(gradients)
    return total / (settings.inner_steps + 1)


def descent(
    problem: Problem, angles: Tensor, steps: int, rate: float
) -> Iterable[tuple[float, Tensor, Tensor]]:
    """Yield loss, gradient and angles of gradient descent, initially and after each step."""
    for step in range(steps + 1):
        angles = angles.detach().requires_grad_()
        loss = problem.cost(angles)
        (gradient,) = torch.autograd.grad(loss, angles)
        yield loss.item(), gradient, angles.detach()
        if step < steps:
            angles = angles - rate * gradient
