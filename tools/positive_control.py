"""Positive control: does a comparison find a circuit, a network or a rank that was planted?

    python -m tools.positive_control        writes docs/results/positive-control.md

Every student has the same trials on evaluation rows of a teacher of its own. Differences are paired
by seed and test row, as in `compare`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from qtha_lab.circuits import ansatze
from qtha_lab.reproductions.machinery.training_loop import count_trained, minimise
from qtha_lab.simulators import expval_z
from qtha_lab.studies.comparison.paired import PairedDifference, paired_difference, verdict_text
from qtha_lab.tasks.problems.planted import (
    RANK,
    SIZE,
    PlantedRows,
    R,
    network_shape,
    planted_rows,
    trigonometric_features,
)
from qtha_lab.tensor_networks import mpo
from tools.measurements import PAGES

SEEDS, TUNING_SEED = range(10), 1000
RATES = (0.003, 0.01, 0.03)
STEPS, BATCH = 400, 128
COUNTS = (2048, 512, 1024)  # rows for training, evaluation and test
MARGIN = 0.02  # of the mean square; the targets have 1


class BottleneckStudent(nn.Module):
    """Low-rank student Δy = B z(A x), whose A begins at the directions of Σ y xᵀ."""

    def __init__(self, rows: PlantedRows, r: int, middle: nn.Module | None = None):
        super().__init__()
        directions = torch.linalg.svd(rows.targets.mT @ rows.inputs).Vh[:r]
        self.first = nn.Parameter(directions.clone())
        self.middle = middle
        self.last = nn.Parameter(torch.zeros(SIZE, r))

    def forward(self, x: Tensor) -> Tensor:
        h = x @ self.first.mT
        return (h if self.middle is None else self.middle(h)) @ self.last.mT


class CircuitMiddle(nn.Module):
    """QTHA's middle: W_c h + W_q ⟨Z⟩(h)."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = ansatze.build("qtha", R, 1, True)
        self.angles = nn.Parameter(math.pi * (2 * torch.rand(self.circuit.n_params) - 1))
        self.linear, self.mixing = (nn.Linear(R, R, bias=False) for _ in range(2))

    def forward(self, h: Tensor) -> Tensor:
        return self.linear(h) + self.mixing(expval_z(self.circuit, h, self.angles))


class ClassicalMiddle(nn.Module):
    """Classical control of equal form: W_c h + W_2 f(W_1 h), with a bias in W_1."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self.last = (nn.Linear(R, R, bias=False) for _ in range(2))
        self.first, self.function = nn.Linear(R, R), function

    def forward(self, h: Tensor) -> Tensor:
        return self.linear(h) + self.last(self.function(self.first(h)))


class FourierMiddle(nn.Module):
    """Linear map of 81 random Fourier features cos(Ω h + b)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(R, 3**R))
        self.register_buffer("phases", 2 * math.pi * torch.rand(3**R))
        self.last = nn.Linear(3**R, R, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return self.last(torch.cos(h @ self.frequencies + self.phases))


class PolynomialMiddle(nn.Module):
    """Linear map of the 81 features of which the circuit of one layer is a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3**R, R, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return self.last(trigonometric_features(h))


class NetworkStudent(nn.Module):
    """Matrix product operator without a bottleneck."""

    def __init__(self, bond_dim: int):
        super().__init__()
        self.shape = network_shape(bond_dim)
        cores = [torch.empty(core) for core in self.shape.core_shapes]
        mpo.balanced_(cores, self.shape)
        self.cores = nn.ParameterList([0.3 * core for core in cores])

    def forward(self, x: Tensor) -> Tensor:
        return x @ mpo.dense(list(self.cores), self.shape).mT


Student = Callable[[PlantedRows], nn.Module]
STUDENTS: dict[str, Student] = {
    "LoRA r = 4": lambda rows: BottleneckStudent(rows, R),
    "LoRA r = 16": lambda rows: BottleneckStudent(rows, RANK),
    "QTHA's circuit, r = 4": lambda rows: BottleneckStudent(rows, R, CircuitMiddle()),
    "SiLU in its place": lambda rows: BottleneckStudent(rows, R, ClassicalMiddle(silu)),
    "tanh in its place": lambda rows: BottleneckStudent(rows, R, ClassicalMiddle(torch.tanh)),
    "trigonometric polynomial": lambda rows: BottleneckStudent(rows, R, PolynomialMiddle()),
    "random Fourier features": lambda rows: BottleneckStudent(rows, R, FourierMiddle()),
    "tensor network, bond 2": lambda _: NetworkStudent(2),
}
QUESTIONS = {  # teacher: the student that has the planted part, those without, and counterparts
    "circuit": (
        "QTHA's circuit, r = 4",
        ("LoRA r = 4", "SiLU in its place", "trigonometric polynomial", "random Fourier features"),
    ),
    "nonlinearity": (
        "tanh in its place",
        ("LoRA r = 4", "SiLU in its place", "QTHA's circuit, r = 4", "random Fourier features"),
    ),
    "tensor_network": ("tensor network, bond 2", ("LoRA r = 4", "LoRA r = 16")),
    "rank": ("LoRA r = 16", ("LoRA r = 4", "tensor network, bond 2")),
}


class StudentResult(NamedTuple):
    """Trained parameters, chosen rate, and squared errors per test row, (seeds, rows)."""

    parameters: int
    rate: float
    losses: np.ndarray


def train(kind: str, student: Student, rate: float, seed: int) -> tuple[float, np.ndarray, int]:
    """Train a student; return its evaluation loss, its errors per test row, and its size.

    Args:
        kind: Teacher.
        student: Builds the network from the training rows.
        rate: Learning rate of Adam.
        seed: Seed of teacher, network and batches.
    """
    rows, held_out, test = planted_rows(kind, COUNTS, seed)
    torch.manual_seed(seed)
    network = student(rows)
    order = torch.Generator().manual_seed(seed)

    def loss_of() -> Tensor:
        batch = torch.randint(len(rows.inputs), (BATCH,), generator=order)
        return (network(rows.inputs[batch]) - rows.targets[batch]).square().mean()

    for _ in minimise(loss_of, network.parameters(), STEPS, rate, cosine=True):
        pass
    with torch.no_grad():
        losses = [(network(of.inputs) - of.targets).square().mean(-1) for of in (held_out, test)]
    return losses[0].mean().item(), losses[1].double().numpy(), count_trained(network)


def measure(kind: str, student: Student) -> StudentResult:
    """Choose the rate of a student on a seed of its own, and train it on the others."""
    rate = min(RATES, key=lambda rate: train(kind, student, rate, TUNING_SEED)[0])
    runs = [train(kind, student, rate, seed) for seed in SEEDS]
    return StudentResult(runs[0][2], rate, np.stack([losses for _, losses, _ in runs]))


def differences(kind: str) -> Iterator[tuple[str, StudentResult, PairedDifference | None]]:
    """Yield each student with its difference to the one that has the planted part, which is first.

    Args:
        kind: Teacher.
    """
    planted, others = QUESTIONS[kind]
    own = measure(kind, STUDENTS[planted])
    yield planted, own, None
    for name in others:
        of = measure(kind, STUDENTS[name])
        found = paired_difference(of.losses, own.losses, claims=len(others), margin=MARGIN)
        yield name, of, found


def page() -> str:
    """Return the page: a row per teacher and student."""
    lines = [("planted", "student", "parameters", "rate", "test error", "− planted", "verdict")]
    lines.append(("---", "---", "---:", "---:", "---:", "---", "---"))
    for kind in QUESTIONS:
        for name, of, found in differences(kind):
            interval = verdict = ""
            if found is not None:
                interval = f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
                verdict = verdict_text(found)
            numbers = f"{of.parameters:,}", f"{of.rate:g}", f"{of.losses.mean():.3f}"
            lines.append((kind.replace("_", " "), name, *numbers, interval, verdict))
    return "\n".join(
        [
            "`python -m tools.positive_control`",
            "",
            (
                f"Mean squared error on {COUNTS[2]:,} test rows after {STEPS} steps,"
                f" {len(SEEDS)} seeds; targets have 1, of which {0.01:g} is noise. The first row"
                " of a teacher has the planted part; intervals of a teacher hold together with"
                " 95 %. Each rate is the best of three on a seed of its own."
            ),
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
        ]
    )


def main() -> None:
    torch.set_num_threads(1)
    (PAGES / "positive-control.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
