"""Error and power of the interval of `compare.paired` on the variances and residuals of recorded
runs.

Reads the packed runs of `data/results`; trains nothing. Under no effect an interval of 95 % should
exclude zero in 5 % of
draws, and the intervals of a family of seven claims together in no more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from benchmarks.machine import conditions
from benchmarks.measurements import PACKED, RESULTS, unpack
from benchmarks.reporting import pipes
from qtha_lab.experiment.model_task_pairs import Cell
from qtha_lab.studies.comparison.claims import paired_losses
from qtha_lab.studies.comparison.paired import errors, half_width
from qtha_lab.studies.comparison.report.contents import Compared
from qtha_lab.studies.comparison.row_losses import read_items

SEEDS = (3, 5, 6, 10, 20)
FAMILY = 7
LEVELS = {"claim": 0.05, "family": 0.05 / FAMILY}
EFFECT, EFFECT_SEEDS, EFFECT_ROWS = 0.05, 5, 112
MOST_ROWS = 256  # of a resampled table
CHUNK = 2_000_000  # numbers of a table at once
Draws = Float[np.ndarray, " draws"]


class Recorded(NamedTuple):
    """The differences behind a printed claim.

    Attributes:
        measurement: Name of the comparison.
        first: The method whose loss stands first.
        second: The method that is subtracted.
        gaps: Differences of test losses by seed and row.
    """

    measurement: str
    first: str
    second: str
    gaps: Float[np.ndarray, "seeds rows"]


class Variances(NamedTuple):
    """Variance components of a two-way layout.

    Attributes:
        seeds: Of the effects of seeds.
        rows: Of the effects of rows.
        rest: Of a seed with a row beyond both.
    """

    seeds: float
    rows: float
    rest: float


def bench_coverage(
    seeds: Sequence[int] = SEEDS,
    draws: int = 4000,
    names: Sequence[str] = (),
    on_case: Callable[[str], None] = lambda label: None,
) -> dict[str, Any]:
    """Measure how often intervals exclude zero, without an effect and with one.

    Args:
        seeds: Numbers of seeds.
        draws: Number of tables for each claim and number of seeds.
        names: Comparisons in `data/results`; none takes all.
        on_case: Called with the name of each part as it begins.

    Returns:
        `machine`, `commit`, `draws`; `variances`, medians for each comparison; `cases`, the error
        for each number of
        seeds and both kinds of draws; `power`.
    """
    before, random = conditions(), np.random.default_rng(0)
    on_case("recorded runs")
    tables = [
        table
        for name in names or sorted(folder.name for folder in RESULTS.iterdir())
        for table in recorded(name)
    ]
    cases = []
    for count in seeds:
        on_case(f"{count} seeds")
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
        "power": _power(tables, draws, random),
    }


def recorded(name: str) -> Iterator[Recorded]:
    """Yield the differences behind every claim that a comparison prints, from its packed runs."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(RESULTS / name / PACKED, Path(folder))
        compared = Compared.of(folder)
        items = read_items(compared.runs.values())
        for claim in [*compared.claims, *compared.parts]:
            cell, pair = Cell.of(claim), (claim["first"], claim["second"])
            entries = [entry for entry in compared.best if Cell.of(entry) == cell]
            losses = paired_losses(entries, pair, items)
            if losses is not None and losses[0].shape[1] > 1:
                yield Recorded(name, *pair, losses[0] - losses[1])


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
    """Means and mean squares of many tables.

    Attributes:
        mean: Of all numbers.
        seeds: Mean square of seeds.
        rows: Mean square of rows.
        rest: Mean square of the rest.
    """

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
    """Draw the mean and the mean squares of tables of normal effects, which are independent.

    Args:
        of: Variances of the effects.
        seeds: Number of seeds.
        rows: Number of rows.
        draws: Number of tables.
        random: Source of the draws.
        effect: True difference.
    """  # fmt: skip
    free = seeds - 1, rows - 1, (seeds - 1) * (rows - 1)
    expected = rows * of.seeds + of.rest, seeds * of.rows + of.rest, of.rest
    spread = np.sqrt((expected[0] + expected[1] - expected[2]) / (seeds * rows))
    squares = [e * random.chisquare(f, draws) / f for e, f in zip(expected, free, strict=True)]
    return Squares(random.normal(effect, spread, draws), *squares)


def shown(squares: Squares, seeds: int, rows: int, level: float) -> Float[np.ndarray, " draws"]:
    """Tell if the interval of `studies.comparison.paired` excludes zero."""
    cells = seeds * rows
    seed_error = np.sqrt(squares.seeds / cells)
    row_error = np.sqrt(np.maximum(squares.rows - squares.rest, 0) / cells)
    return np.abs(squares.mean) > half_width(seed_error, row_error, seeds, rows, level)


def shown_before(
    squares: Squares, seeds: int, rows: int, level: float
) -> Float[np.ndarray, " draws"]:
    """Tell if the interval of version 0.3.0 excludes zero.

    That took t of the seeds alone times the error of a bootstrap of seeds and rows, here its exact
    value.

    Source:
        Owen 2007, arXiv:0712.1111, section 3.
    """
    cells, of_seeds, of_rows = seeds * rows, 1 - 1 / seeds, 1 - 1 / rows
    error = (
        squares.seeds * of_seeds + squares.rows * of_rows + squares.rest * of_seeds * of_rows
    ) / cells
    half = stats.t.ppf(1 - level / 2, seeds - 1) * np.sqrt(error / of_seeds)
    return np.abs(squares.mean) > half


def _normal(
    tables: Sequence[Recorded], seeds: int, draws: int, random: np.random.Generator
) -> dict[str, float]:
    """Errors on normal effects: of each claim alone, and of seven claims that are independent."""
    alone, families, before = [], [], []
    for table in tables:
        shape = seeds, table.gaps.shape[1]
        squares = normal(variances(table.gaps), *shape, FAMILY * draws, random)
        alone.append(shown(squares, *shape, LEVELS["claim"]).mean())
        together = shown(squares, *shape, LEVELS["family"]).reshape(draws, FAMILY)
        families.append(together.any(1).mean())
        before.append(shown_before(squares, *shape, LEVELS["claim"]).mean())
    return _summary(alone, families) | {"before": float(np.mean(before))}


def _resampled(
    tables: Sequence[Recorded], seeds: int, draws: int, random: np.random.Generator
) -> dict[str, float]:
    """Errors on recorded rows and residuals.

    Of each claim alone, and of the first seven of a comparison.
    """
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
    """Yield tables without an effect, of claims that share their draws as they share recorded runs.

    Effects of seeds are normal with the recorded covariance between claims, since few seeds were
    recorded. Effects of
    rows and the rest are recorded ones, drawn with replacement.

    Args:
        claims: Recorded differences by seed and row, all of one comparison.
        seeds: Number of seeds.
        rows: Number of rows.
        draws: Number of tables.
        random: Source of the draws.
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


def _power(tables: Sequence[Recorded], draws: int, random: np.random.Generator) -> dict[str, float]:
    """Chance of showing an effect among seven claims, now and by the rule of version 0.3.0."""
    shape = EFFECT_SEEDS, EFFECT_ROWS
    drawn = [
        normal(variances(table.gaps), *shape, draws, random, EFFECT)
        for table in tables
        if table.gaps.shape[1] == EFFECT_ROWS
    ]
    rules = {"now": shown, "before": shown_before}
    return {
        name: float(np.mean([rule(squares, *shape, LEVELS["family"]).mean() for squares in drawn]))
        for name, rule in rules.items()
        if drawn
    }


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


def rows(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each number of seeds and kind of draws: errors in percent."""
    heading = (
        "draws",
        "seeds",
        "error of a claim",
        "least and most of a claim",
        "error of a family of 7",
        "most of a family",
        "error of a claim, version 0.3.0",
    )
    return [heading, *map(_row, figures["cases"])]


def _row(case: dict[str, Any]) -> tuple[str, ...]:
    before = f"{case['before']:.1%}" if "before" in case else "–"
    ends = f"{case['claim_least']:.1%} to {case['claim_most']:.1%}"
    numbers = (f"{case['claim']:.1%}", ends, f"{case['family']:.1%}", f"{case['family_most']:.1%}")
    return case["draws"], str(case["seeds"]), *numbers, before


def variance_rows(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each comparison: standard deviations of the parts in nats."""
    heading = "comparison", "claims", "seeds", "rows", "sd of seeds", "sd of rows", "sd of the rest"
    return [
        heading,
        *(
            (
                of["measurement"],
                *(str(of[name]) for name in ("claims", "seeds", "rows")),
                *(f"{of[f'variance_{part}'] ** 0.5:.4f}" for part in Variances._fields),
            )
            for of in figures["variances"]
        ),
    ]


def power_sentence(figures: dict[str, Any]) -> str:
    """Return the power as a sentence; nothing where no recorded claim has as many rows."""
    power = figures["power"]
    if not power:
        return ""
    return (
        f"A true difference of {EFFECT} nat is shown by {EFFECT_SEEDS} seeds on {EFFECT_ROWS} rows"
        f" among {FAMILY} claims in {power['now']:.0%} of draws, and by the rule of version 0.3.0"
        f" in {power['before']:.0%}."
    )


def markdown(figures: dict[str, Any]) -> str:
    """Return the tables of the page."""
    return (
        f"{figures['claims']} printed claims, {figures['draws']:,} tables of each. *Normal* draws"
        " have the variances of the recorded runs, and families of independent claims. *Recorded*"
        " draws have recorded rows and residuals, and families of claims that share seeds and"
        " rows. Error: share of 95 % intervals that exclude zero without an"
        f" effect.\n\n{pipes(rows(figures))}\n\n{power_sentence(figures)}\n\nMedians over the"
        f" claims of a comparison, in nats:\n\n{pipes(variance_rows(figures))}\n"
    )
