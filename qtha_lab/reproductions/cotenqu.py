"""co-TenQu: a trained tensor network before class states, at a budget of qubits.

A matrix product operator maps 64 pixels to two angles per qubit. The fidelity |⟨ω_c|φ⟩|² scores
class c.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab.adapters.heads import head_named
from qtha_lab.reproductions.machinery.classification import classify, principal
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log
from qtha_lab.tasks.problems.digits import PIXELS, digits

QUBITS = (2, 3, 5)
PAIRS = {"36": (3, 6), "39": (3, 9)}
TAU, BOND_DIM, N_CLASSES = 0.2, 4, 2


class CosineSimilarity(nn.Module):
    """Classifier by cosine similarity of an image and trained class vectors, over a temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Parameter(torch.randn(1, PIXELS).repeat(N_CLASSES, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (rows, 64) to (rows, 2)."""
        return (
            functional.normalize(images, dim=-1)
            @ functional.normalize(self.classes, dim=-1).mT
            / TAU
        )


class PixelAngles(nn.Module):
    """Head of class states with angles π σ(x) of each input x."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.head = head_named(f"fidelity(n={n},tau={TAU})").module(2 * n, N_CLASSES)
        self.head.inward = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (rows, 2n) to (rows, 2)."""
        return self.head(x)


def _arms() -> dict[str, str]:
    arms = {}
    for pair, (a, b) in PAIRS.items():
        arms |= {
            f"fidelity_{n}_{pair}": (
                f"{a} or {b}: trained tensor network, class states of {n} qubits"
            )
            for n in QUBITS
        }
        arms |= {
            f"pca_{n}_{pair}": (
                f"{a} or {b}: {2 * n} principal components, class states of {n} qubits"
            )
            for n in QUBITS
        }
        arms |= {
            f"product_5_{pair}": (
                f"{a} or {b}: trained tensor network, product states of 5 qubits, F = Π cos²"
            ),
            f"cosine_{pair}": f"{a} or {b}: cosine similarity with a trained vector of each class",
            f"linear_{pair}": f"{a} or {b}: a linear map",
        }
    return arms


def _claims() -> list[PaperClaim]:
    claims = []
    for pair, (a, b) in PAIRS.items():
        prefix = f"{a} or {b}: "
        claims += [
            PaperClaim(f"fidelity_2_{pair}", f"pca_5_{pair}", "test_accuracy",
                  f"{prefix}2 qubits behind a trained tensor network are as accurate as 5 behind "
                  f"PCA, within a point", margin=0.01, from_paper=True),
            PaperClaim(f"fidelity_5_{pair}", f"linear_{pair}", "test_accuracy",
                  f"{prefix}5 qubits are within a point of a linear map",
                  margin=0.01),
            PaperClaim(f"fidelity_5_{pair}", f"cosine_{pair}", "test_accuracy",
                  f"{prefix}5 qubits are more accurate than cosine similarity"),
            PaperClaim(f"fidelity_5_{pair}", f"product_5_{pair}", "test_accuracy",
                  f"{prefix}entangled class states are more accurate than products"),
        ]  # fmt: skip
    return claims


@reproduction(
    name="cotenqu",
    title="co-TenQu",
    arxiv="2402.15333",
    claim=(
        "A trainable tensor network before class states lets few qubits classify as well as many."
    ),
    paper_says="+41.72 % against a DNN in a fair setting, 70.59 % fewer qubits [P]",
    works="head=fidelity(n,bond_dim)",
    source=(
        "abstract [P], a third party's note [T]; encoding and layers of QuClassi, arXiv:2103.11307"
        " [B]; σ, ε, τ and sizes [R]"
    ),
    control="principal components, product class states, cosine similarity, a linear map",
    data="scikit-learn's digits 3/6 and 3/9 (40 training rows)",
    minutes=2,
    arms=_arms(),
    claims=_claims(),
    steps=(120, 30),
)
def cotenqu(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Train one arm on the pair of digits that its name ends with."""
    kind, *sizes, pair = arm.split("_")
    data = digits(40, 80, seed, classes=PAIRS[pair])
    n = int(sizes[0]) if sizes else 0
    if kind == "pca":
        classify(lambda: PixelAngles(n), principal(data, 2 * n), log, seed)
        return
    entangle = str(kind == "fidelity").lower()
    call = f"fidelity(n={n},tau={TAU},bond_dim={BOND_DIM},entangle={entangle})" if n else "linear"
    make = (
        CosineSimilarity if kind == "cosine" else lambda: head_named(call).module(PIXELS, N_CLASSES)
    )
    classify(make, data, log, seed)
