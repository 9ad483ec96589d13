"""Give every reader bad inputs: half of them by its grammar, half by damage to valid ones."""

from __future__ import annotations

import base64
import dataclasses
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from .journal import Journal, Total
from .mutation import mutated
from .outcome import Outcome, attempt, enter_folder
from .pool import Cases, run_batches
from .readers import READERS

BATCH = 50


def draw(name: str, batch: int) -> list[bytes]:
    """The inputs of a batch, the same each time."""
    reader = READERS[name]
    drawn: list[bytes] = []

    @seed(batch)
    @settings(
        max_examples=BATCH // 2, database=None, deadline=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(reader.grammar())
    def collect(data: bytes) -> None:
        drawn.append(data)

    collect()
    rng = random.Random(f"{name} {batch}")
    seeds = reader.seeds()
    while len(drawn) < BATCH:
        drawn.append(mutated(seeds, rng, files=bool(reader.file)))
    return drawn[:BATCH]


def cases(key: tuple[str, int]) -> Cases:
    """The cases of a batch; called in a worker."""
    warnings.simplefilter("ignore")
    name, batch = key
    if name not in _warm:
        _warm.add(name)
        for data in READERS[name].seeds():  # imports and caches are no case's
            attempt(lambda data=data: READERS[name].take(data))
    for number, data in enumerate(draw(name, batch)):
        yield f"inputs/{name}/{batch}/{number}", lambda data=data: _tried(name, data)


def _tried(name: str, data: bytes) -> Outcome:
    reader = READERS[name]
    outcome = attempt(lambda: reader.take(data), limit=reader.limit)
    text = base64.b64encode(data).decode() if outcome.is_fault else ""
    return dataclasses.replace(outcome, data=text)


_warm: set[str] = set()


def plan(count: int, done: set[str]) -> Iterator[tuple[str, int]]:
    """Batches in an order in which every reader has its share at any time."""
    shares = {name: reader.share for name, reader in READERS.items()}
    each = count / BATCH / sum(shares.values())
    wanted = {name: max(1, round(each * share)) for name, share in shares.items()}
    for step in range(max(wanted.values())):
        for name, batches in wanted.items():
            if step < batches and f"inputs/{name}/{step}" not in done:
                yield name, step


def attack(journal: Journal, count: int, processes: int, go_on: Any) -> None:
    """Try about `count` inputs over all readers."""
    totals: dict[tuple[str, int], Total] = {}

    def take(key: tuple[str, int], case: str, outcome: Outcome) -> None:
        case = case if "/" in case else f"inputs/{key[0]}/{key[1]}/{case}"
        totals.setdefault(key, Total()).count(outcome)
        if outcome.is_fault:
            journal.fault(case, outcome)

    def ended(key: tuple[str, int]) -> None:
        journal.write(f"inputs/{key[0]}/{key[1]}", totals.pop(key, Total()))

    run_batches(plan(count, journal.done), cases, take, ended, processes, go_on)


def again(case: str, folder: Path, saved: str = "") -> Outcome:
    """Try one case again: with the input that was saved, or drawn from the case's name."""
    _, name, batch, number = case.split("/")
    enter_folder(folder)
    for data in READERS[name].seeds():
        attempt(lambda data=data: READERS[name].take(data))
    data = base64.b64decode(saved) or draw(name, int(batch))[int(number)]
    print(repr(data[:3000]))
    return _tried(name, data)
