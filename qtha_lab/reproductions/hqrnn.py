"""LSTM with circuit gate maps, predicting the remaining cycles of degrading engines.

By default the engines are synthetic, made from a seed, and not C-MAPSS. Users who have the C-MAPSS
files name their folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab.adapters.heads import head_named
from qtha_lab.core.settings import setting
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log, count_trained, minimise
from qtha_lab.tasks.problems.engines import (
    CAP,
    N_SENSORS,
    WINDOW,
    Fleet,
    Windows,
    read_cmapss,
    synthetic_fleet,
)

RATE, BATCH = 0.01, 64
ARMS = {
    "hqrnn": ("four gate maps of four qubits, hidden 16", "qlstm(n=4,hidden=16)"),
    "sin": ("sines of as many numbers in the circuits' place", "qlstm(n=4,hidden=16,maps=sin)"),
    "frozen": (
        "the circuits with their angles untrained",
        "qlstm(n=4,hidden=16,train_circuit=false)",
    ),
    "lstm": ("an LSTM of about as many numbers, hidden 6", "lstm(hidden=6)"),
}


@dataclass(frozen=True)
class Engines:
    """Engines of the arms."""

    folder: str | None = setting(
        None,
        "Folder of the C-MAPSS files train_FD001.txt, test_FD001.txt and RUL_FD001.txt; None takes"
        " synthetic engines.",
    )


def check_engines(chosen: Engines) -> None:
    """Refuse a folder without readable files of C-MAPSS.

    Raises:
        Refusal: With the reason.
    """
    if chosen.folder is not None:
        read_cmapss(chosen.folder)


def data_of(chosen: Engines) -> str:
    """Return the short name of the engines."""
    if chosen.folder is not None:
        return f"engines of C-MAPSS FD001 in {chosen.folder} ({N_SENSORS} sensors, window {WINDOW})"
    return (
        f"synthetic engines (80 to train, 20 to evaluate, 100 to test, {N_SENSORS} sensors,"
        f" window {WINDOW}; not C-MAPSS)"
    )


@reproduction(
    name="hqrnn",
    title="HQRNN",
    arxiv="2504.20823",
    claim=(
        "A recurrent network whose gates are circuits predicts remaining life better than a"
        " classical one."
    ),
    paper_says="RMSE 15.46 on C-MAPSS, up to 5 % below a stacked LSTM [P]",
    works="head=qlstm(n,hidden) over token states",
    source=(
        "abstract [P], circuit after a third party's description [T]; maps around it, sizes and"
        " engines [R]"
    ),
    control=(
        "an LSTM of about as many numbers, sines in the circuits' place, circuits whose angles are"
        " not trained"
    ),
    data=data_of,
    minutes=8,
    arms={name: words for name, (words, _) in ARMS.items()},
    claims=[
        PaperClaim(
            "hqrnn",
            "lstm",
            "rmse",
            "circuits in the gates predict better than an LSTM",
            from_paper=True,
        ),
        PaperClaim("hqrnn", "lstm", "mae", "they do so in the mean absolute error"),
        PaperClaim("hqrnn", "sin", "rmse", "circuits in the gates predict better than sines"),
        PaperClaim("hqrnn", "frozen", "rmse", "training their angles makes them better"),
    ],
    steps=(600, 30),
    settings=Engines,
    check=check_engines,
    tuned=True,
)
def hqrnn(arm: str, seed: int, quick: bool, log: Log, settings: Engines) -> None:
    """Train one arm, and test it on the last windows of test engines."""
    fleet = _fleet(settings.folder, seed, quick)
    torch.manual_seed(seed)
    network = head_named(ARMS[arm][1]).module(N_SENSORS, 1)
    fit(network, fleet, log, seed)


@lru_cache(maxsize=1)
def _fleet(folder: str | None, seed: int, quick: bool) -> Fleet:
    if folder is not None:
        return read_cmapss(folder)
    return synthetic_fleet(20, 30, seed) if quick else synthetic_fleet(seed=seed)


def fit(network: nn.Module, fleet: Fleet, log: Log, seed: int) -> None:
    """Train by Adam on the squared error over the cap; log errors in cycles.

    Evaluation engines give the loss, test engines the results.

    Args:
        network: Maps windows to one number, the remaining share of the cap minus one half.
        fleet: Synthetic engines, or those of C-MAPSS.
        log: Log of the run, with the number of steps.
        seed: Seed of the order of windows.
    """
    order = torch.Generator().manual_seed(seed)
    _evaluate(network, fleet, log, 0)

    def loss_of() -> Tensor:
        rows = torch.randint(len(fleet.train.left), (BATCH,), generator=order)
        share = network(fleet.train.inputs[rows])[:, 0] + 0.5
        return functional.mse_loss(share, fleet.train.left[rows] / CAP)

    rate = log.rate(RATE)
    steps = minimise(loss_of, network.parameters(), log.steps, rate, max_norm=1.0)
    for step, (loss, _) in enumerate(steps, 1):
        log.train(step, loss=loss, learning_rate=rate)
    _evaluate(network, fleet, log, log.steps)
    ended = errors(network, fleet.test)
    log.end(trainable_parameters=count_trained(network), learning_rate=rate, **ended)


def _evaluate(network: nn.Module, fleet: Fleet, log: Log, step: int) -> None:
    rmse = errors(network, fleet.eval)["rmse"]
    log.evaluate(step, loss=(rmse / CAP) ** 2, rmse=rmse)


@torch.no_grad()
def errors(network: nn.Module, windows: Windows) -> dict[str, float]:
    """Compute the root mean squared and mean absolute error, in cycles."""
    apart = CAP * (network(windows.inputs)[:, 0] + 0.5) - windows.left
    return {"rmse": apart.square().mean().sqrt().item(), "mae": apart.abs().mean().item()}
