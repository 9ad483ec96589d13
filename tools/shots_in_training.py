"""Shots and noise in training: few steps with many shots against many steps with few.

    python -m tools.shots_in_training        writes docs/results/shots-in-training.md

QTHA's circuit and its read-out learn a planted circuit. Gradients of angles are those of the
parameter-shift rule, sampled with the shots of the step. Every arm is tested exactly, and arms of
training under noise also with that noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from qtha_lab.circuits import ansatze
from qtha_lab.reproductions.machinery.training_loop import minimise
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.device.options import PRESETS
from qtha_lab.studies.comparison.paired import paired_difference, verdict_text
from tools.measurements import PAGES

R, BATCH, TEST_ROWS = 3, 8, 512
CIRCUIT = ansatze.build("qtha", R, 1, True)
CIRCUITS = 1 + 3 * CIRCUIT.n_params  # per row: forward; 2 per RY and 4 per CRZ, half of each
SEEDS, TUNING_SEED = range(6), 1000
RATES = (0.03, 0.1, 0.3, 1.0)
MARGIN = 0.02  # of the mean square; the targets have 1
NOISE = ",".join(
    f"{name}={value}"
    for name, value in PRESETS["wukong"].items()
    if name.startswith(("depolarizing", "readout"))
)
EXACT, NOISY = "torch", f"density:noise({NOISE})"


class Arm(NamedTuple):
    """Training of one arm: steps, shots per circuit (None: exact), and noise."""

    steps: int
    shots: int | None = None
    has_noise: bool = False

    @property
    def engine(self) -> str:
        """Engine of the circuit in training."""
        if self.shots is not None:
            return f"device:default.qubit(shots={self.shots})"
        return NOISY if self.has_noise else EXACT

    @property
    def name(self) -> str:
        """Name in the table."""
        shots = "exact" if self.shots is None else f"{self.shots} shots"
        return f"{self.steps} steps, {shots}" + ", with noise" * self.has_noise


MANY, SOME, FEW = Arm(256, 4), Arm(64, 16), Arm(16, 64)  # steps, at equal shots of the run
WHOLE, WITH_NOISE = Arm(256), Arm(256, has_noise=True)
CLAIMS = (  # arm, control, engine of the test
    (FEW, MANY, EXACT),
    (SOME, MANY, EXACT),
    (MANY, WHOLE, EXACT),
    (WITH_NOISE, WHOLE, NOISY),
)


class Student(nn.Module):
    """W_q ⟨Z⟩(x) of QTHA's circuit, with uniform angles and W_q the identity at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.angles = nn.Parameter(math.pi * (2 * torch.rand(CIRCUIT.n_params).double() - 1))
        self.mixing = nn.Parameter(torch.eye(R, dtype=torch.float64))

    def forward(self, x: Tensor, engine: str) -> Tensor:
        return expval_z(CIRCUIT, x, self.angles, engine) @ self.mixing.mT


class Trained(NamedTuple):
    """Student of one arm and seed, with the teacher's held-out and test rows."""

    student: Student
    rows: list[tuple[Tensor, Tensor]]

    @torch.no_grad()
    def losses(self, engine: str, part: int = 1) -> np.ndarray:
        """Return the squared error per row: part 0 held out, 1 test."""
        x, target = self.rows[part]
        return (self.student(x, engine) - target).square().mean(-1).numpy()


def train(arm: Arm, rate: float, seed: int) -> Trained:
    """Train a student on new rows of a random teacher at every step.

    Args:
        arm: Steps and engine.
        rate: Learning rate of Adam, lowered along a cosine.
        seed: Seed of teacher, rows and student.
    """
    torch.manual_seed(seed)
    teacher, random = Student(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        teacher.mixing.copy_(torch.randn(R, R, generator=random, dtype=torch.float64))
        x = torch.randn(4096, R, generator=random, dtype=torch.float64)
        teacher.mixing /= teacher(x, EXACT).square().mean().sqrt()

    def rows(count: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(count, R, generator=random, dtype=torch.float64)
        return x, teacher(x, EXACT).detach()

    held_out = [rows(TEST_ROWS), rows(TEST_ROWS)]
    student = Student()

    def loss_of() -> Tensor:
        x, target = rows(BATCH)
        return (student(x, arm.engine) - target).square().mean()

    for _ in minimise(loss_of, student.parameters(), arm.steps, rate, cosine=True):
        pass
    return Trained(student, held_out)


def measured() -> dict[Arm, tuple[float, list[Trained]]]:
    """Choose the rate of every arm on a seed of its own, and train it on the others."""
    found = {}
    for arm in (MANY, SOME, FEW, WHOLE, WITH_NOISE):
        tried = {rate: train(arm, rate, TUNING_SEED).losses(EXACT, 0).mean() for rate in RATES}
        rate = min(tried, key=lambda rate: tried[rate])
        found[arm] = rate, [train(arm, rate, seed) for seed in SEEDS]
    return found


def page(found: dict[Arm, tuple[float, list[Trained]]]) -> str:
    """Return the page: a row per arm, and a row per claim.

    Args:
        found: Rate and trained students of every arm.
    """
    losses = {
        (arm, engine): np.stack([student.losses(engine) for student in trained])
        for arm, (_, trained) in found.items()
        for engine in (EXACT, NOISY)
    }
    arms: list[tuple[str, ...]] = [
        ("training", "shots of the run", "rate", "test error", "tested with noise")
    ]
    arms.append(("---", "---:", "---:", "---:", "---:"))
    for arm, (rate, _) in found.items():
        shots = "" if arm.shots is None else f"{arm.steps * BATCH * CIRCUITS * arm.shots:,}"
        errors = (f"{losses[arm, engine].mean():.3f}" for engine in (EXACT, NOISY))
        arms.append((arm.name, shots, f"{rate:g}", *errors))
    claims = [("claim", "tested", "difference", "verdict"), ("---", "---", "---", "---")]
    for arm, control, engine in CLAIMS:
        pair = losses[arm, engine], losses[control, engine]
        of = paired_difference(*pair, claims=len(CLAIMS), margin=MARGIN)
        interval = f"{of.mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"
        tested = "exactly" if engine == EXACT else "with noise"
        claims.append((f"{arm.name} − {control.name}", tested, interval, verdict_text(of)))
    words = (
        f"QTHA's circuit with r = {R} and its read-out learn a planted circuit from {BATCH} new"
        f" rows per step. Mean squared error on {TEST_ROWS} test rows, {len(SEEDS)} seeds; targets"
        f" have 1. A row runs {CIRCUITS} circuits per step, with parameter-shift gradients. Noise"
        f" is the preset `wukong`, exact. Each rate is the best of {len(RATES)} on a seed of its"
        " own; intervals hold together with 95 %."
    )
    tables = ["\n".join(f"| {' | '.join(line)} |" for line in lines) for lines in (arms, claims)]
    return "\n\n".join(["`python -m tools.shots_in_training`", words, *tables]) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    np.random.seed(0)  # from which PennyLane's devices take their samples
    (PAGES / "shots-in-training.md").write_text(page(measured()), encoding="utf-8")


if __name__ == "__main__":
    main()
