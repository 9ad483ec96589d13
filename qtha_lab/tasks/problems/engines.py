"""Sensor data of wearing engines: synthetic data, or NASA's C-MAPSS files.

    h(t) = 1 − d − (e^{a t^b} − 1)

is the health of a synthetic engine, which fails at h = 0. Each of 14 sensors measures a power of
the wear 1 − h, with noise. The target is the number of remaining cycles, at most `CAP`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_file

N_SENSORS, WINDOW, CAP = 14, 30, 125
SHORTEST, LONGEST = 128, 356  # cycles of a synthetic engine
NOISE = 0.1
# sensors of C-MAPSS, of 21 and counted from 1, that vary in FD001
CMAPSS_SENSORS = (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)


@dataclass(frozen=True)
class Windows:
    """Sensor windows of `WINDOW` cycles, and the remaining cycles after each.

    Attributes:
        inputs: Sensor values, with mean 0 and variance 1 over the training engines.
        left: Remaining cycles until the failure, at most `CAP`.
    """

    inputs: Float[Tensor, "rows window sensors"]
    left: Float[Tensor, " rows"]


@dataclass(frozen=True)
class Fleet:
    """Engines run to failure, and test engines cut off before it.

    Attributes:
        train: Windows at every cycle of four fifths of the engines that ran to failure.
        eval: Windows of the other fifth, one after the other without overlap.
        test: Last window of each test engine.
    """

    train: Windows
    eval: Windows
    test: Windows


def synthetic_fleet(train: int = 100, test: int = 100, seed: int = 0) -> Fleet:
    """Simulate engines from a seed.

    Example:
        >>> fleet = synthetic_fleet(2, 3, seed=0)
        >>> left = fleet.train.left
        >>> fleet.test.inputs.shape, float(left.min()), float(left.max())
        (torch.Size([3, 30, 14]), 0.0, 125.0)

    Source:
        Health as in Saxena et al. 2008, with e^0 = 1 subtracted; ranges and sensors are ours [R].
    """
    random = np.random.default_rng(seed)
    gains = random.choice([-1, 1], N_SENSORS) * random.uniform(0.3, 1.0, N_SENSORS)
    powers = random.uniform(0.5, 2.0, N_SENSORS)
    lives = [_engine(random, gains, powers) for _ in range(train + test)]
    cut = [random.integers(WINDOW, len(life) + 1) for life in lives[train:]]
    ends = [float(len(life) - at) for life, at in zip(lives[train:], cut, strict=True)]
    histories = [life[:at] for life, at in zip(lives[train:], cut, strict=True)]
    return fleet_of(lives[:train], histories, ends)


def _engine(random: np.random.Generator, gains: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Simulate the sensors of one engine at every cycle until failure, (cycles, 14)."""
    length, b, d = (
        random.integers(SHORTEST, LONGEST),
        random.uniform(1.5, 2.5),
        random.uniform(0, 0.1),
    )
    a = np.log(2 - d) / length**b
    health = 1 - d - (np.exp(a * np.arange(1, length + 1) ** b) - 1)
    worn = (1 - health.clip(0, 1))[:, None] ** powers
    return gains * worn + NOISE * random.standard_normal((length, N_SENSORS))


def fleet_of(lives: list[np.ndarray], histories: list[np.ndarray], ends: list[float]) -> Fleet:
    """Build a fleet from sensor values per cycle."""
    if len(lives) < 2:
        raise Refusal(f"At least 2 engines must run to failure, got {len(lives)}.")
    shortest = min(len(engine) for engine in (*lives, *histories))
    if shortest < WINDOW:
        raise Refusal(f"An engine must have at least {WINDOW} cycles, got {shortest}.")
    n_train = len(lives) - max(1, len(lives) // 5)
    every = np.concatenate(lives[:n_train])
    mean, deviation = every.mean(0), every.std(0).clip(1e-9)

    def windows(rows: list[np.ndarray], cycles: list) -> Windows:
        scaled = (np.stack(rows) - mean) / deviation
        return Windows(
            torch.tensor(scaled, dtype=torch.float32), torch.tensor(cycles).float().clamp(max=CAP)
        )

    def windows_until_failure(of: list[np.ndarray], step: int) -> Windows:
        seen = [(life, at) for life in of for at in range(WINDOW, len(life) + 1, step)]
        rows = [life[at - WINDOW : at] for life, at in seen]
        return windows(rows, [len(life) - at for life, at in seen])

    return Fleet(
        windows_until_failure(lives[:n_train], 1),
        windows_until_failure(lives[n_train:], WINDOW),
        windows([engine[-WINDOW:] for engine in histories], ends),
    )


def read_cmapss(folder: Path | str, subset: str = "FD001") -> Fleet:
    """Read the engines of a folder of C-MAPSS files.

    The files are `train_FD001.txt`, `test_FD001.txt` and `RUL_FD001.txt`. Test engines with fewer
    cycles than a window are left out.
    """
    lives = _engines(Path(folder) / f"train_{subset}.txt")
    histories = _engines(Path(folder) / f"test_{subset}.txt")
    ends = _table(Path(folder) / f"RUL_{subset}.txt")[:, 0]
    if len(ends) != len(histories):
        raise Refusal(
            f"RUL_{subset}.txt must have a line for each of {len(histories)} engines, got "
            f"{len(ends)}."
        )
    remaining = [
        (engine, float(end))
        for engine, end in zip(histories, ends, strict=True)
        if len(engine) >= WINDOW
    ]
    return fleet_of(lives, [engine for engine, _ in remaining], [end for _, end in remaining])


def _engines(file: Path) -> list[np.ndarray]:
    table = _table(file)
    if table.shape[1] != 26:
        raise Refusal(f"{file.name} must have 26 columns, got {table.shape[1]}.")
    columns = [4 + sensor for sensor in CMAPSS_SENSORS]  # after unit, cycle and three settings
    return [table[table[:, 0] == unit][:, columns] for unit in np.unique(table[:, 0])]


def _table(file: Path) -> np.ndarray:
    try:
        with open_file(file) as lines:
            return np.loadtxt(lines, ndmin=2)
    except FileNotFoundError:
        raise Refusal(
            f"{file} must be a file of C-MAPSS, got no file. Name the folder of the data."
        ) from None
    except Refusal:
        raise
    except ValueError as reason:
        raise Refusal(
            f"{file.name} must be a table of numbers, got {str(reason).splitlines()[0]}."
        ) from None
