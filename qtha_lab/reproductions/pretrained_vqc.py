"""Frozen pre-trained network before a circuit: accuracy against the number of qubits.

A convolutional network learns the digits 0 to 4 and is frozen. A head of n qubits learns 5 to 9
from its features. Controls are n principal components of the images instead of the network, and
heads without a circuit.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from qtha_lab.adapters.heads import head_named
from qtha_lab.reproductions.machinery.classification import (
    BATCH,
    classify,
    mapped,
    principal,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log, batch_loss, minimise
from qtha_lab.tasks.problems.digits import Digits, digits

QUBITS = (2, 4, 6, 8)
FEATURES, N_CLASSES = 32, 5
PCA_SCALE = 0.25  # the best of 1, ½ and ¼ at 4 and 8 qubits on two seeds
PRE_STEPS, PRE_RATE = 150, 0.005  # of the network


class Encoded(nn.Module):
    """Circuit and linear map of a head; inputs enter directly, squeezed into ± π."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.head = head_named(f"circuit(n={n})").module(n, N_CLASSES)
        self.head.inward = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (rows, n) to (rows, 5)."""
        return self.head(x)


@reproduction(
    name="pretrained_vqc",
    title="Pre-trained networks for VQC",
    arxiv="2411.08552",
    claim="Behind a frozen pre-trained network the error of a variational circuit does not depend "
    "on its number of qubits.",
    works="head=circuit(n,n_layers,ansatz), method none",
    source="abstract [P]; π tanh, the network, the digits and all sizes are ours [R]",
    control="principal components in the network's place; a linear head, and one with n cosines in "
    "the circuit's place",
    data="scikit-learn's digits (network on 0 to 4; heads on 200 rows of 5 to 9)",
    minutes=1,
    arms={
        **{f"vqc_{n}": f"frozen network, {n} qubits" for n in QUBITS},
        **{f"pca_{n}": f"{n} principal components, {n} qubits" for n in QUBITS},
        **{f"cosine_{n}": f"frozen network, {n} cosines" for n in QUBITS},
        "linear": "frozen network, a linear head",
    },
    claims=[
        PaperClaim("vqc_4", "vqc_8", "test_accuracy",
              "4 qubits are as accurate as 8, within a point", margin=0.01, from_paper=True),
        PaperClaim("vqc_2", "vqc_8", "test_accuracy",
              "2 qubits are as accurate as 8, within a point", margin=0.01),
        PaperClaim("pca_8", "pca_4", "test_accuracy",
              "without the network 8 qubits are more accurate than 4"),
        PaperClaim("vqc_4", "pca_4", "test_accuracy",
              "at 4 qubits the network is better than principal components"),
        PaperClaim("vqc_4", "cosine_4", "test_accuracy",
              "4 qubits are more accurate than 4 cosines"),
        PaperClaim("vqc_4", "linear", "test_accuracy",
              "4 qubits are more accurate than a linear head"),
    ],
    steps=(200, 40),
)  # fmt: skip
def pretrained_vqc(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Train one head on the digits 5 to 9 of a seed."""
    data = digits(200, 200, seed, classes=range(5, 10))
    kind, _, n = arm.partition("_")
    if kind == "pca":
        components = mapped(principal(data, int(n)), lambda x: x * PCA_SCALE)
        classify(lambda: Encoded(int(n)), components, log, seed)
        return
    features = standardised(mapped(data, pre_trained(seed)))
    call = {"vqc": f"circuit(n={n})", "cosine": f"mlp(hidden={n},between=cos)"}.get(kind, "linear")
    classify(lambda: head_named(call).module(FEATURES, N_CLASSES), features, log, seed)


def feature_network() -> nn.Module:
    """Create two convolutions and a linear map to 32 features."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, FEATURES),
        nn.ReLU(),
    )


@lru_cache(maxsize=1)  # the arms of a seed follow one another
def pre_trained(seed: int) -> nn.Module:
    """Return the network of a seed, trained on the digits 0 to 4 and frozen."""
    torch.manual_seed(seed)
    body = feature_network()
    whole = nn.Sequential(body, nn.Linear(FEATURES, N_CLASSES))
    data, order = digits(600, 100, seed, classes=range(5)), torch.Generator().manual_seed(seed)
    loss_of = batch_loss(whole, data.train, data.train_labels, BATCH, order)
    for _ in minimise(loss_of, whole.parameters(), PRE_STEPS, PRE_RATE):
        pass
    return body.requires_grad_(False)


def standardised(data: Digits) -> Digits:
    """Standardise features over the training rows; a constant feature becomes 0.

    The result has mean 0 and variance 1.
    """
    deviation, mean = torch.std_mean(data.train, 0)
    scale = torch.where(
        deviation > 1e-6, 1 / deviation.clamp(min=1e-6), torch.zeros_like(deviation)
    )
    return mapped(data, lambda rows: (rows - mean) * scale)
