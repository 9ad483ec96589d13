"""Errors of the interval of comparisons in worlds that break its assumptions.

    python -m tools.coverage_worlds        prints the table of docs/results/coverage.md

There is no difference in any world. Rows come in keys, effects are skewed or bounded, or one seed
in ten is an outlier. `tools.coverage` has the worlds of the recorded runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qtha_lab.core.io import show
from qtha_lab.studies.comparison.paired import errors, half_width

ROWS = 112
SEED_SD, ROW_SD, REST_SD = 0.005, 0.1, 0.05  # nat, as in the recorded comparisons on qa
OUTLIER = 20  # standard deviations of an outlying seed, in units of SEED_SD
OUTLYING = 0.1
CEILING = 0.97
MOST = 0.065  # error of a nominal 5 % from which an interval counts as too narrow
AT_ONCE = 500
Gaps = Float[np.ndarray, "draws seeds rows"]


class World(NamedTuple):
    """World without a difference.

    Attributes:
        name: Name in the table.
        draw: Draws tables from a generator, for numbers of draws and seeds.
    """

    name: str
    draw: Callable[[np.random.Generator, int, int], Gaps]


def _layout(random: np.random.Generator, draws: int, seeds: int, of_rows: Gaps) -> Gaps:
    """Add normal effects of seeds and a rest to effects of rows."""
    of_seeds = random.normal(0, SEED_SD, (draws, seeds, 1))
    return of_seeds + of_rows + random.normal(0, REST_SD, (draws, seeds, ROWS))


def independent(random: np.random.Generator, draws: int, seeds: int) -> Gaps:
    """Draw normal effects, as the interval assumes."""
    return _layout(random, draws, seeds, random.normal(0, ROW_SD, (draws, 1, ROWS)))


def grouped(per: int, by_key: bool) -> World:
    """Return the world whose rows of a key share their effect, with or without the keys."""

    def draw(random: np.random.Generator, draws: int, seeds: int) -> Gaps:
        of_keys = random.normal(0, ROW_SD, (draws, 1, ROWS // per))
        gaps = _layout(random, draws, seeds, np.repeat(of_keys, per, 2))
        return gaps.reshape(draws, seeds, -1, per).mean(3) if by_key else gaps

    return World(f"{per} rows per key, {'averaged by key' if by_key else 'taken as rows'}", draw)


def skewed(random: np.random.Generator, draws: int, seeds: int) -> Gaps:
    """Draw log-normal effects of rows, with mean zero."""
    spread = np.sqrt((np.e - 1) * np.e)  # of a log-normal number
    of_rows = (random.lognormal(size=(draws, 1, ROWS)) - np.exp(0.5)) / spread
    return _layout(random, draws, seeds, ROW_SD * of_rows)


def bounded(random: np.random.Generator, draws: int, seeds: int) -> Gaps:
    """Draw differences of two accuracies near the ceiling, one number per seed."""
    correct = random.binomial(ROWS, CEILING, (2, draws, seeds, 1)) / ROWS
    return correct[0] - correct[1]


def outlying(random: np.random.Generator, draws: int, seeds: int) -> Gaps:
    """Draw normal effects with one outlying seed in ten."""
    is_far = random.random((draws, seeds, 1)) < OUTLYING
    far = random.normal(0, OUTLIER * SEED_SD, (draws, seeds, 1))
    return independent(random, draws, seeds) + is_far * far


WORLDS = (
    World("independent rows", independent),
    *(grouped(per, by_key) for per in (2, 8) for by_key in (False, True)),
    World("skewed rows (log-normal)", skewed),
    World(f"accuracies near {CEILING:.0%}", bounded),
    World("one outlying seed in ten", outlying),
)


def world_errors(
    seeds: tuple[int, ...], draws: int, random: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Yield the error of a nominal 5 % for each world, by number of seeds."""
    for world in WORLDS:
        by_seeds = {str(count): _error(world, count, draws, random) for count in seeds}
        yield {"world": world.name, "errors": by_seeds}


def _error(world: World, seeds: int, draws: int, random: np.random.Generator) -> float:
    """Return the share of intervals that exclude zero."""
    wrong = 0
    for start in range(0, draws, AT_ONCE):
        gaps = world.draw(random, min(AT_ONCE, draws - start), seeds)
        mean, of_seeds, of_rows = errors(gaps)
        half = half_width(of_seeds, of_rows, seeds, gaps.shape[2], 0.05)
        wrong += int((np.abs(mean) > half).sum())
    return wrong / draws


def world_rows(cases: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the table of errors, heading first; the last column names the numbers that err."""
    counts = list(cases[0]["errors"])
    heading = ("world", *(f"{count} seeds" for count in counts), "too narrow at")
    rows: list[tuple[str, ...]] = [heading]
    for case in cases:
        wide = [count for count in counts if case["errors"][count] > MOST]
        where = f"{', '.join(wide)} seeds" if wide else "–"
        rows.append((case["world"], *(f"{case['errors'][n]:.1%}" for n in counts), where))
    return rows


def main() -> None:
    cases = list(world_errors((3, 5, 10, 20), 4000, np.random.default_rng(0)))
    heading, *rows = world_rows(cases)
    for row in (heading, ("---",) * len(heading), *rows):
        show(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
