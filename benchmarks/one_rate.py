"""Differences of QTHA to LoRA at one shared learning rate, and each at its own, from packed runs.

    python benchmarks/one_rate.py        writes docs/results/one-rate.md

Reads `data/results`; trains nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurements import PACKED, PAGES, RESULTS, unpack
from qtha_lab.studies.comparison.claims import paired_losses
from qtha_lab.studies.comparison.paired import paired_difference
from qtha_lab.studies.comparison.report.contents import Compared
from qtha_lab.studies.comparison.row_losses import read_items

NAMES = ("smollm2-qa", "smollm2-definitions")
PAIRS = {
    "balanced QTHA − LoRA r = 2": ("qtha(r=4,waist=32,bond_dim=3)", "lora(r=2,lora_alpha=4)"),
    "gradient-aware QTHA − LoRA r = 2": ("qtha_gradient(r=4)", "lora(r=2,lora_alpha=4)"),
    "gradient-aware QTHA − LoRA r = 8": ("qtha_gradient(r=4)", "lora(r=8)"),
}
Entry = dict[str, Any]


def rows(compared: Compared, name: str) -> Iterator[tuple[str, ...]]:
    """Yield a row per shared rate, and one in which each method has its own best rate.

    Args:
        compared: A comparison over several learning rates.
        name: Name of the comparison.
    """
    items = read_items(compared.runs.values())
    for rate in sorted(compared.comparison.learning_rates):
        entries = [entry for entry in compared.entries if entry["learning_rate"] == rate]
        yield name, f"{rate:g}", *(_cell(entries, pair, items) for pair in PAIRS.values())
    yield name, "each its own", *(_cell(compared.best, pair, items) for pair in PAIRS.values())


def _cell(entries: Sequence[Entry], pair: tuple[str, str], items: Any) -> str:
    """The difference of test losses with its interval, bold where shown, and of training losses in
    percent.
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


def page(comparisons: dict[str, Compared]) -> str:
    """Return the page: a row per comparison and rate, a column per pair of methods."""
    first = next(iter(comparisons.values()))
    counts = {entry["family"]: entry["trainable_parameters"] for entry in first.entries}
    titles = [f"{title} ({counts[a] / counts[b]:.0%})" for title, (a, b) in PAIRS.items()]
    lines = [("comparison", "rate", *titles), ("---",) * (2 + len(titles))]
    lines += [row for name, compared in comparisons.items() for row in rows(compared, name)]
    return "\n".join(
        [
            "`python benchmarks/one_rate.py`",
            "",
            (
                "Test loss in nats with its 95 % interval over seeds and rows (one claim each, bold"
                " where it excludes zero); after it training loss, the mean of the last ten steps,"
                " in percent of LoRA's. In brackets: share of its trained parameters."
            ),
            "",
            *(f"| {' | '.join(row)} |" for row in lines),
            "",
        ]
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        comparisons = {}
        for name in NAMES:
            unpack(RESULTS / name / PACKED, Path(folder) / name)
            comparisons[name] = Compared.of(Path(folder) / name)
        text = page(comparisons)
    (PAGES / "one-rate.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
