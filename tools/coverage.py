"""Error and power of the intervals of comparisons, on variances and residuals of recorded runs.

Reads the packed runs of `data/results`, and trains nothing. Without an effect, an interval of 95 %
should exclude zero in 5 % of draws, and the intervals of a family of seven claims in no more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen
from qtha_lab.experiment.description import ModelTask
from qtha_lab.studies.comparison.claims import losses_of_pair
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.paired import errors, half_width, per_key
from qtha_lab.studies.comparison.row_losses import read_items
from tools.coverage_worlds import MOST, ROWS, world_errors, world_rows
from tools.measurements import PACKED, RESULTS, unpack

FAMILY = 7
LEVELS = {"claim": 0.05, "family": 0.05 / FAMILY}
EFFECT, EFFECT_SEEDS, EFFECT_ROWS = 0.05, 5, 112
MOST_ROWS = 256  # of a resampled table
NORMAL = 25  # normal tables for each resampled one, since they cost little
CHUNK = 2_000_000  # numbers of a table at once
Draws = Float[np.ndarray, " draws"]


class Recorded(NamedTuple):
    """Differences of test losses behind a printed claim, first method minus second."""

    measurement: str
    first: str
    second: str
    gaps: Float[np.ndarray, "seeds rows"]


class Variances(NamedTuple):
    """Variance components of a two-way layout: seeds, rows, and the rest."""

    seeds: float
    rows: float
    rest: float


def bench_coverage(
    seeds: tuple[int, ...] = (3, 5, 6, 10, 20),
    draws: int = 4000,
    names: tuple[str, ...] = (),
    show: Show = unseen,
) -> dict[str, Any]:
    """Measure error and power of the intervals of comparisons on recorded runs.

    Args:
        seeds: Numbers of seeds.
        draws: Number of tables per claim and number of seeds.
        names: Comparisons in `data/results`; all by default.
        show: Called with the number of finished parts, of all, and the name of the part.

    Returns:
        The conditions, `variances` per comparison, `cases` (errors), `worlds` (errors where
        assumptions fail) and `power`.
    """
    before, random = conditions(), np.random.default_rng(0)
    show(0, 1 + len(seeds), "recorded runs")
    tables = [
        table
        for name in names or sorted(folder.name for folder in RESULTS.iterdir())
        for table in recorded(name)
    ]
    cases = []
    for done, count in enumerate(seeds, 1):
        show(done, 1 + len(seeds), f"{count} seeds")
        cases.append({"draws": "normal", "seeds": count, **_normal(tables, count, draws, random)})
        cases.append(
            {"draws": "recorded", "seeds": count, **_resampled(tables, count, draws, random)}
        )
    return {
        "benchmark": "coverage",
        **before,
        "draws": draws,
        "claims": len(tables),
        "variances": list(_by_measurement(tables)),
        "cases": cases,
        "worlds": list(world_errors(seeds, draws, random)),
        "power": _power(tables, draws, random),
    }


def recorded(name: str) -> Iterator[Recorded]:
    """Yield the differences behind every claim that a comparison prints, from its packed runs."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(RESULTS / name / PACKED, Path(folder))
        compared = Compared.of(folder)
        items = read_items(compared.runs.values())
        for claim in [*compared.claims, *compared.parts]:
            model_task, pair = ModelTask.of(claim), (claim["first"], claim["second"])
            runs = compared.best[compared.best["model_task"].eq(model_task)]
            losses = losses_of_pair(runs, pair, items)
            if losses is not None and (rows := losses.rows) is not None:
                gaps = per_key(losses.first - losses.second, rows.keys, rows.weights)
                yield Recorded(name, *pair, gaps)


def variances(gaps: Float[np.ndarray, "seeds rows"]) -> Variances:
    """Estimate the variance components of a table, none below zero."""
    seeds, rows = gaps.shape
    by_seed, by_row, rest = _effects(gaps)
    of_rest = (rest**2).sum() / ((seeds - 1) * (rows - 1))
    of_seeds, of_rows = by_seed.var(ddof=1) - of_rest / rows, by_row.var(ddof=1) - of_rest / seeds
    return Variances(max(of_seeds, 0.0), max(of_rows, 0.0), of_rest)


def _effects(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects of seeds, of rows and the rest, each with mean zero."""
    by_seed, by_row = gaps.mean(1) - gaps.mean(), gaps.mean(0) - gaps.mean()
    return by_seed, by_row, gaps - gaps.mean() - by_seed[:, None] - by_row


class Squares(NamedTuple):
    """Means, and mean squares of seeds, rows and the rest, of many tables."""

    mean: Draws
    seeds: Draws
    rows: Draws
    rest: Draws


def normal(
    of: Variances,
    seeds: int,
    rows: int,
    draws: int,
    random: np.random.Generator,
    effect: float = 0.0,
) -> Squares:
    """Draw the mean and the mean squares of tables with independent normal effects."""
    free = seeds - 1, rows - 1, (seeds - 1) * (rows - 1)
    expected = rows * of.seeds + of.rest, seeds * of.rows + of.rest, of.rest
    spread = np.sqrt((expected[0] + expected[1] - expected[2]) / (seeds * rows))
    squares = [e * random.chisquare(f, draws) / f for e, f in zip(expected, free, strict=True)]
    return Squares(random.normal(effect, spread, draws), *squares)


def shown(squares: Squares, seeds: int, rows: int, level: float) -> Float[np.ndarray, " draws"]:
    """Report if the interval of `studies.comparison.paired` excludes zero."""
    cells = seeds * rows
    seed_error = np.sqrt(squares.seeds / cells)
    row_error = np.sqrt(np.maximum(squares.rows - squares.rest, 0) / cells)
    return np.abs(squares.mean) > half_width(seed_error, row_error, seeds, rows, level)


def _normal(
    tables: Sequence[Recorded], seeds: int, draws: int, random: np.random.Generator
) -> dict[str, float]:
    """Errors on normal effects: of each claim alone, and of seven claims that are independent."""
    alone, families = [], []
    draws *= NORMAL
    for table in tables:
        shape = seeds, table.gaps.shape[1]
        squares = normal(variances(table.gaps), *shape, FAMILY * draws, random)
        alone.append(shown(squares, *shape, LEVELS["claim"]).mean())
        together = shown(squares, *shape, LEVELS["family"]).reshape(draws, FAMILY)
        families.append(together.any(1).mean())
    return _summary(alone, families)


def _resampled(
    tables: Sequence[Recorded], seeds: int, draws: int, random: np.random.Generator
) -> dict[str, float]:
    """Errors on recorded rows and residuals, of each claim and of seven claims together."""
    alone, families = [], []
    for _, group in groupby(tables, key=lambda table: table.measurement):
        claims = [table.gaps for table in group][:FAMILY]
        rows = min(claims[0].shape[1], MOST_ROWS)
        excludes = {level: [] for level in LEVELS}
        for gaps in resampled(claims, seeds, rows, draws, random):
            mean, by_seeds, by_rows = errors(gaps)
            for name, level in LEVELS.items():
                excludes[name].append(
                    np.abs(mean) > half_width(by_seeds, by_rows, seeds, rows, level)
                )
        alone += np.concatenate(excludes["claim"]).mean(0).tolist()
        if len(claims) == FAMILY:
            families.append(np.concatenate(excludes["family"]).any(1).mean())
    return _summary(alone, families)


def resampled(
    claims: Sequence[np.ndarray], seeds: int, rows: int, draws: int, random: np.random.Generator
) -> Iterator[Float[np.ndarray, "draws claims seeds rows"]]:
    """Yield tables without an effect, of claims that share draws as they share recorded runs.

    Effects of seeds are normal with the recorded covariance between claims, since few seeds were
    recorded. Effects of rows and the rest are recorded ones, drawn with replacement.
    """
    n_seeds, n_rows = claims[0].shape
    effects = [_scaled(gaps) for gaps in claims]
    at_once = max(1, CHUNK // (len(claims) * seeds * rows))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        weights = random.normal(0, 1 / np.sqrt(n_seeds), (count, seeds, n_seeds))
        of_rows = random.integers(n_rows, size=(count, 1, rows))
        of_seeds = random.integers(n_seeds, size=(count, seeds, rows))
        yield np.stack(
            [
                (weights @ by_seed)[..., None] + by_row[of_rows] + rest[of_seeds, of_rows]
                for by_seed, by_row, rest in effects
            ],
            axis=1,
        )


def _scaled(gaps: np.ndarray) -> list[np.ndarray]:
    """The effects of a table, each with the variance that `variances` estimates."""
    return [
        effect * np.sqrt(variance / square) if (square := np.mean(effect**2)) else effect
        for effect, variance in zip(_effects(gaps), variances(gaps), strict=True)
    ]


def _summary(alone: Sequence[float], families: Sequence[float]) -> dict[str, float]:
    """Means and ends over claims and families."""
    return {
        "claim": float(np.mean(alone)),
        "claim_least": float(min(alone)),
        "claim_most": float(max(alone)),
        "family": float(np.mean(families)) if families else float("nan"),
        "family_most": float(max(families)) if families else float("nan"),
    }


def _power(tables: Sequence[Recorded], draws: int, random: np.random.Generator) -> float | None:
    """Return the chance of showing an effect among seven claims; None without such tables."""
    shape = EFFECT_SEEDS, EFFECT_ROWS
    drawn = [
        normal(variances(table.gaps), *shape, draws, random, EFFECT)
        for table in tables
        if table.gaps.shape[1] == EFFECT_ROWS
    ]
    shares = [shown(squares, *shape, LEVELS["family"]).mean() for squares in drawn]
    return float(np.mean(shares)) if shares else None


def _by_measurement(tables: Sequence[Recorded]) -> Iterator[dict[str, Any]]:
    """The median variances of the claims of each comparison."""
    for name, group in groupby(tables, key=lambda table: table.measurement):
        claims = [table.gaps for table in group]
        medians = np.median([variances(gaps) for gaps in claims], axis=0)
        shape = dict(zip(("seeds", "rows"), claims[0].shape, strict=True))
        yield {"measurement": name, "claims": len(claims), **shape} | {
            f"variance_{part}": float(value)
            for part, value in zip(Variances._fields, medians, strict=True)
        }


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return the errors per number of seeds and kind of draws, and variances per comparison."""
    power, families = figures["power"], f"families of {FAMILY} claims"
    caption = (
        f"{figures['claims']} printed claims, {figures['draws']:,} recorded and"
        f" {NORMAL * figures['draws']:,} normal tables of each. *Normal* draws"
        f" have the variances of the recorded runs, and {families} are independent. *Recorded*"
        f" draws have recorded rows and residuals, and {families} share seeds and rows. Error:"
        " share of 95 % intervals that exclude zero without an effect."
    )
    if power is not None:
        caption += (
            f" A true difference of {EFFECT} nat is shown by {EFFECT_SEEDS} seeds on {EFFECT_ROWS}"
            f" rows among {FAMILY} claims in {power:.0%} of draws."
        )
    heading = (
        "draws", "seeds", "error of a claim", "least and most of a claim",
        f"error of a family of {FAMILY}", "most of a family",
    )  # fmt: skip
    of_parts = ("comparison", "claims", "seeds", "rows", "sd of seeds", "sd of rows", "sd of rest")
    return [
        (caption, [heading, *map(_row, figures["cases"])]),
        (
            f"Errors of a nominal 5 % on {ROWS} rows in worlds that break an assumption,"
            f" {figures['draws']:,} tables each. An interval is too narrow above {MOST:.1%}.",
            world_rows(figures["worlds"]),
        ),
        (
            "medians over the claims of a comparison, nats",
            [of_parts, *map(_variance_row, figures["variances"])],
        ),
    ]


def _row(case: dict[str, Any]) -> tuple[str, ...]:
    ends = f"{case['claim_least']:.1%} to {case['claim_most']:.1%}"
    numbers = (f"{case['claim']:.1%}", ends, f"{case['family']:.1%}", f"{case['family_most']:.1%}")
    return case["draws"], str(case["seeds"]), *numbers


def _variance_row(of: dict[str, Any]) -> tuple[str, ...]:
    sizes = (str(of[name]) for name in ("claims", "seeds", "rows"))
    deviations = (f"{of[f'variance_{part}'] ** 0.5:.4f}" for part in Variances._fields)
    return of["measurement"], *sizes, *deviations
