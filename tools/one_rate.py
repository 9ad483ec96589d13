"""Differences of QTHA to LoRA at one shared learning rate, and each at its own, from packed runs.

    python -m tools.one_rate        writes docs/results/one-rate.md and docs/one-rate.svg

Reads `data/results`; trains nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qtha_lab.figures.difference_by_rate import difference_by_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.studies.comparison.claims import paired_losses
from qtha_lab.studies.comparison.paired import paired_difference
from qtha_lab.studies.comparison.rate_differences import shared_rates
from qtha_lab.studies.comparison.rate_figures import rate_rows
from qtha_lab.studies.comparison.report.contents import Compared
from qtha_lab.studies.comparison.row_losses import TestItems, read_items
from qtha_lab.studies.comparison.tuning import at_their_best
from tools.measurements import PACKED, PAGES, RESULTS, ROOT, unpack

PICTURE = ROOT / "docs" / "one-rate.svg"

PLACES = {  # measurements of the same methods on other seeds, by name in page and figure
    "SmolLM2, qa": ("smollm2-qa", "shared-rates-smollm2-qa"),
    "SmolLM2, definitions": ("smollm2-definitions", "shared-rates-smollm2-definitions"),
    "SmolLM2, chat": ("shared-rates-smollm2-chat",),
    "half of SmolLM2, qa": ("shared-rates-half-qa",),
}
PAIRS = {
    "balanced QTHA − LoRA r = 2": ("qtha(r=4,waist=32,bond_dim=3)", "lora(r=2,lora_alpha=4)"),
    "gradient-aware QTHA − LoRA r = 2": ("qtha_gradient(r=4)", "lora(r=2,lora_alpha=4)"),
    "gradient-aware QTHA − LoRA r = 8": ("qtha_gradient(r=4)", "lora(r=8)"),
}
Entry = dict[str, Any]


@dataclass(frozen=True)
class Pooled:
    """Runs of one place from several comparisons, on the seeds that are complete.

    Attributes:
        entries: Entries with label without learning rate under `family`.
        items: Test rows by run id.
    """

    entries: list[Entry]
    items: dict[str, TestItems]

    @classmethod
    def of(cls, comparisons: Iterable[Compared]) -> Pooled:
        """Join comparisons; omit seeds that lack a method of `PAIRS` at any rate."""
        comparisons = list(comparisons)
        families = {label for pair in PAIRS.values() for label in pair}
        entries = [e for of in comparisons for e in of.entries if e["family"] in families]
        rates = {entry["learning_rate"] for entry in entries}
        ended: dict[int, set[tuple[str, float]]] = {}
        for entry in entries:
            if entry["state"] == "finished":
                ended.setdefault(entry["seed"], set()).add(
                    (entry["family"], entry["learning_rate"])
                )
        whole = {seed for seed, of in ended.items() if len(of) == len(families) * len(rates)}
        items = read_items(run for of in comparisons for run in of.runs.values())
        return cls([entry for entry in entries if entry["seed"] in whole], items)

    @property
    def seeds(self) -> int:
        """Number of complete seeds."""
        return len({entry["seed"] for entry in self.entries})


def rows(pooled: Pooled, name: str) -> Iterator[tuple[str, ...]]:
    """Yield a row per shared rate, and one in which each method has its own best rate.

    Args:
        pooled: Runs over several learning rates.
        name: Name of the place.
    """
    for rate in sorted({entry["learning_rate"] for entry in pooled.entries}):
        entries = [entry for entry in pooled.entries if entry["learning_rate"] == rate]
        yield name, f"{rate:g}", *(_cell(entries, pair, pooled.items) for pair in PAIRS.values())
    best = at_their_best(pooled.entries)
    yield name, "each its own", *(_cell(best, pair, pooled.items) for pair in PAIRS.values())


def _cell(entries: Sequence[Entry], pair: tuple[str, str], items: Mapping[str, TestItems]) -> str:
    """Return the difference of test losses with its interval, and of training losses in percent.

    The interval is bold where it excludes zero.
    """
    losses = paired_losses(entries, pair, items)
    if losses is None:
        return "–"
    found = paired_difference(*losses)
    text = f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    first, second = (
        np.mean([entry["train_loss"] for entry in entries if entry["family"] == label])
        for label in pair
    )
    return f"{f'**{text}**' if found.is_shown else text}; {first / second - 1:+.1%}"


def page(places: dict[str, Pooled]) -> str:
    """Return the page: the figure, then a row per place and rate, a column per pair of methods."""
    first = next(iter(places.values()))
    counts = {entry["family"]: entry["trainable_parameters"] for entry in first.entries}
    titles = [f"{title} ({counts[a] / counts[b]:.0%})" for title, (a, b) in PAIRS.items()]
    lines = [("where", "rate", *titles), ("---",) * (2 + len(titles))]
    lines += [row for name, pooled in places.items() for row in rows(pooled, name)]
    seeds = ", ".join(f"{name} {pooled.seeds} seeds" for name, pooled in places.items())
    return "\n".join(
        [
            "`python -m tools.one_rate`",
            "",
            (
                "Test loss in nats with its 95 % interval over seeds and rows (one claim each, bold"
                " where it excludes zero); after it training loss, the mean of the last ten steps,"
                f" in percent of LoRA's. In brackets: share of its trained parameters. {seeds}."
            ),
            "",
            *(f"| {' | '.join(row)} |" for row in lines),
            "",
        ]
    )


def figure(places: dict[str, Pooled]) -> Figure:
    """Return the figure of the differences against the shared rate."""
    names = {pair: title for title, pair in PAIRS.items()}
    return difference_by_rate(
        [
            row
            for place, pooled in places.items()
            for row in rate_rows(
                shared_rates(pooled.entries, list(names), pooled.items), names, place
            )
        ]
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for place, measured in PLACES.items():
            there = [name for name in measured if (RESULTS / name / PACKED).exists()]
            if not there:
                continue
            for name in there:
                unpack(RESULTS / name / PACKED, Path(folder) / name)
            places[place] = Pooled.of(Compared.of(Path(folder) / name) for name in there)
    (PAGES / "one-rate.md").write_text(page(places), encoding="utf-8")
    PICTURE.write_text(figure(places).svg() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
