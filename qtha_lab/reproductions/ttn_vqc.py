"""Pre+TTN-VQC: a tensor-train layer before a circuit, trained first and then frozen.

The control trains everything at once. A tensor train of bond 2 maps 64 pixels to eight numbers, the
angles of eight qubits. Two stages share the steps of one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import (
    Log,
    batch_loss,
    classifier_scores,
    minimise,
)
from qtha_lab.simulators import QuantumLayer
from qtha_lab.tasks.problems.digits import digits
from qtha_lab.tensor_networks import mpo

N_QUBITS, BATCH, RATE, DECAY = 8, 64, 0.05, 5e-4
SHAPE = mpo.MpoShape.uniform((4, 4, 4), (2, 2, 2), bond_dim=2)
NOISE_DB = 6.0  # signal-to-noise ratio of Laplace noise in the test images


class TensorTrain(nn.Module):
    """Tensor-train layer 64 → 8 with three cores of bond 2.

    The output is σ(M x) π / 2, in radians.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cores = nn.ParameterList(torch.empty(size) for size in SHAPE.core_shapes)
        with torch.no_grad():
            mpo.kaiming_(list(self.cores))

    def forward(self, images: Tensor) -> Tensor:
        """Return angles of images, (rows, 64) to (rows, 8)."""
        return torch.sigmoid(mpo.apply(list(self.cores), SHAPE, images)) * math.pi / 2


class ScaledSilu(nn.Module):
    """Elementwise a · SiLU(b x + c), with as many parameters as circuit angles."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.randn(N_QUBITS)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return self.a * functional.silu(self.b * x + self.c)


def circuit() -> Circuit:
    """Build RY(x), then RX RY RZ on every qubit and a ring of CNOTs."""
    gates = [Gate("RY", i, Angle.input(i)) for i in range(N_QUBITS)]
    for i in range(N_QUBITS):
        gates += [Gate(n, i, Angle.param(3 * i + k)) for k, n in enumerate(("RX", "RY", "RZ"))]
    gates += [Gate("CNOT", (i, (i + 1) % N_QUBITS)) for i in range(N_QUBITS)]
    return Circuit(N_QUBITS, gates)


@reproduction(
    name="ttn_vqc",
    title="Pre+TTN-VQC",
    arxiv="2306.03741",
    claim=(
        "A tensor-train layer that is trained first makes the training of the circuit behind it"
        " easier and better."
    ),
    works="`phases`: tensor part first, then the circuit, in one run",
    source=(
        "abstract of v1 to v4 [P], sizes and rates from public code [C]; 64 = 4·4·4 for 784 ="
        " 7·16·7, half the steps a stage [R]"
    ),
    control=(
        "all at once for as many steps, SiLU in the circuit's place, a tensor train that is never"
        " trained"
    ),
    data="scikit-learn's digits 1 and 3 (150 training rows, Laplace noise of 6 dB in the test)",
    minutes=2,
    arms={
        "end_to_end": "tensor train, circuit and head at once",
        "staged": "the tensor train with a linear head first; then frozen, circuit and a new head",
        "staged_code": (
            "as the authors' code: all at once first; then the tensor train frozen, circuit and"
            " head anew"
        ),
        "staged_silu": "as staged, with SiLU in the circuit's place",
        "untrained": "the tensor train as drawn, circuit and head",
    },
    claims=[
        PaperClaim(
            "staged",
            "end_to_end",
            "test_loss",
            "stages end at a lower loss than all at once",
            from_paper=True,
        ),
        PaperClaim(
            "staged_code",
            "end_to_end",
            "test_loss",
            "stages as in the authors' code end lower than all at once",
        ),
        PaperClaim(
            "staged",
            "staged_silu",
            "test_loss",
            "the circuit of stage 2 ends lower than SiLU there",
        ),
        PaperClaim("staged", "untrained", "test_loss", "training the tensor train lowers the loss"),
    ],
    steps=(120, 16),
    tuned=True,
)
def ttn_vqc(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Train one arm on the digits of a seed, with equal steps per arm."""
    train, head = TensorTrain(), nn.Linear(N_QUBITS, 2)
    middle: nn.Module = ScaledSilu() if arm == "staged_silu" else QuantumLayer(circuit())
    network, half = nn.Sequential(train, middle, head), log.steps // 2
    work = _Work(log, seed)
    if arm == "end_to_end":
        work.train(network, network, log.steps)
    elif arm == "untrained":
        work.train(network, nn.ModuleList([middle, head]), log.steps)
    else:
        first = nn.Sequential(train, nn.Linear(N_QUBITS, 2))
        if arm == "staged_code":
            first = nn.Sequential(train, QuantumLayer(circuit()), nn.Linear(N_QUBITS, 2))
        work.train(first, first, half)
        work.train(network, nn.ModuleList([middle, head]), log.steps - half)
    work.test(network)


class _Work:
    """Training steps on the digits of a seed, counted over all stages."""

    def __init__(self, log: Log, seed: int) -> None:
        self.log, self.step, self.trained = log, 0, set()
        self.data = digits(150, 100, seed, classes=(1, 3))
        self.order = torch.Generator().manual_seed(seed)

    def train(self, network: nn.Module, trained: nn.Module, steps: int) -> None:
        """Train parts of a network by Adam with a cosine schedule.

        The network is evaluated before and after.
        """
        parameters, data = list(trained.parameters()), self.data
        self.trained |= {(id(p), p.numel()) for p in parameters}
        if self.step == 0:
            self.evaluate(network)
        loss_of = batch_loss(network, data.train, data.train_labels, BATCH, self.order)
        for loss, rate in minimise(
            loss_of, parameters, steps, self.log.rate(RATE), weight_decay=DECAY, cosine=True
        ):
            self.step += 1
            self.log.train(self.step, loss=loss, learning_rate=rate)
        self.evaluate(network)

    def evaluate(self, network: nn.Module) -> None:
        """Record loss and accuracy of evaluation rows."""
        scores = classifier_scores(network, self.data.eval, self.data.eval_labels)
        self.log.evaluate(self.step, **scores)

    @torch.no_grad()
    def test(self, network: nn.Module) -> None:
        """Record loss and accuracy of noisy test rows, and the trained parameters of all stages."""
        images = self.data.test
        power = images.square().mean() / 10 ** (NOISE_DB / 10)
        noise = torch.distributions.Laplace(0.0, (power / 2).sqrt())  # of variance `power`
        torch.manual_seed(0)  # the same noise for every arm
        noisy = images + noise.sample(images.shape)
        self.log.test(**classifier_scores(network, noisy, self.data.test_labels))
        count = sum(size for _, size in self.trained)
        self.log.end(trainable_parameters=count, learning_rate=self.log.rate(RATE))
