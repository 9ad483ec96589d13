"""Differences at one shared learning rate, of QTHA to LoRA and to itself without its circuit.

    python -m tools.one_rate        writes docs/results/one-rate.md and docs/one-rate.svg

Reads `data/results`; trains nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas

from qtha_lab.figures.difference_by_rate import difference_by_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.studies.comparison.claims import losses_of_pair, shared_rates
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.paired import PairedDifference
from qtha_lab.studies.comparison.pooled import PooledDifference, pool
from qtha_lab.studies.comparison.row_losses import TestItems, read_items
from qtha_lab.studies.comparison.tuning import at_their_best
from tools.measurements import (
    BALANCED,
    GRADIENT,
    LARGE,
    PACKED,
    PAGES,
    RESULTS,
    ROOT,
    SMALL,
    unpack,
)
from tools.verdicts import without_circuit

PICTURE = ROOT / "docs" / "one-rate.svg"

PROTOCOL = "tiny, by the paper's protocol"
PLACES = {  # base model, and measurements of the same methods on different seeds
    "SmolLM2, qa": ("smollm2-135m", "smollm2-qa", "shared-rates-smollm2-qa"),
    "SmolLM2, definitions": (
        "smollm2-135m",
        "smollm2-definitions",
        "shared-rates-smollm2-definitions",
    ),
    "SmolLM2, chat": ("smollm2-135m", "smollm2-chat"),
    "half of SmolLM2, qa": ("half-smollm2", "half-smollm2-qa"),
    "toy, qa": ("tiny", "tiny-qa"),
    "toy, chat": ("tiny", "tiny-chat"),
    "toy, qa, the paper's protocol": (PROTOCOL, "qtha-paper-small"),
}
CIRCUIT = ("smollm2-qa", "smollm2-definitions")  # each QTHA with and without its circuit
AGAINST_SMALL = {
    "balanced QTHA − LoRA r = 2": (BALANCED["smollm2-135m"], SMALL),
    "gradient-aware QTHA − LoRA r = 2": (GRADIENT, SMALL),
    "the same without its circuit − LoRA r = 2": ("qtha_gradient(r=4,middle=linear)", SMALL),
    "LoRA r = 8 − LoRA r = 2": (LARGE, SMALL),
}


def pairs_on(model: str) -> dict[str, tuple[str, str]]:
    """Return the methods to compare on a base model by title; not every place runs all of them."""
    if model == PROTOCOL:
        published = "qtha(r=4,size=paper,init=paper)"
        return {"QTHA as published − LoRA r = 4": (published, "lora(r=4,lora_alpha=8)")}
    balanced = {"balanced QTHA − LoRA r = 2": (BALANCED[model], SMALL)} if model in BALANCED else {}
    return {
        **balanced,
        "gradient-aware QTHA − LoRA r = 2": (GRADIENT, SMALL),
        "gradient-aware QTHA − LoRA r = 8": (GRADIENT, LARGE),
    }


@dataclass(frozen=True)
class Pooled:
    """Runs of one place from several comparisons, on the seeds that are complete.

    Attributes:
        model: Name of the base model.
        pairs: Compared methods by title, of which both were run.
        frame: Runs of the compared methods.
        items: Test rows by run id.
    """

    model: str
    pairs: dict[str, tuple[str, str]]
    frame: pandas.DataFrame
    items: dict[str, TestItems]

    @property
    def titles(self) -> list[str]:
        """Titles of the pairs, with the share of the second's trained parameters."""
        counts = self.frame.set_index("family")["trainable_parameters"].to_dict()
        return [f"{title} ({counts[a] / counts[b]:.0%})" for title, (a, b) in self.pairs.items()]

    @classmethod
    def of(
        cls, model: str, comparisons: Iterable[Compared], pairs: Mapping[str, tuple[str, str]]
    ) -> Pooled:
        """Join comparisons on a base model; omit seeds that lack a compared method at any rate."""
        comparisons = list(comparisons)
        frame = pandas.concat([of.frame for of in comparisons], ignore_index=True)
        run = {*frame["family"]}
        pairs = {title: pair for title, pair in pairs.items() if run.issuperset(pair)}
        families = {label for pair in pairs.values() for label in pair}
        frame = frame[frame["family"].isin(families)]
        finished = frame[frame["state"].eq("finished")]
        ended = finished.drop_duplicates(["seed", "family", "learning_rate"])["seed"].value_counts()
        whole = ended.index[ended == len(families) * frame["learning_rate"].nunique()]
        items = read_items(run for of in comparisons for run in of.runs.values())
        return cls(model, pairs, frame[frame["seed"].isin(whole)], items)

    @property
    def seeds(self) -> int:
        """Number of complete seeds."""
        return self.frame["seed"].nunique()


def rows(pooled: Pooled, name: str) -> Iterator[tuple[str, ...]]:
    """Yield a row per shared rate, and one in which each method has its own best rate.

    Args:
        pooled: Runs over several learning rates.
        name: Name of the place.
    """
    for rate, runs in pooled.frame.groupby("learning_rate"):
        cells = (_cell(runs, pair, pooled.items) for pair in pooled.pairs.values())
        yield name, f"{rate:g}", *cells
    best = at_their_best(pooled.frame)
    yield name, "each its own", *(_cell(best, pair, pooled.items) for pair in pooled.pairs.values())


def _cell(runs: pandas.DataFrame, pair: tuple[str, str], items: Mapping[str, TestItems]) -> str:
    """Return the difference of test losses with its interval, and of training losses in percent.

    The interval is bold where it excludes zero.
    """
    losses = losses_of_pair(runs, pair, items)
    if losses is None:
        return "–"
    found = losses.difference()
    first, second = (np.mean([*runs["train_loss"][runs["family"].eq(label)]]) for label in pair)
    return f"{_interval(found)}; {first / second - 1:+.1%}"


def page(places: dict[str, Pooled]) -> str:
    """Return the page: tables of places and rates by pairs of methods, one per base and pairs."""
    seeds = ", ".join(f"{name} {pooled.seeds} seeds" for name, pooled in places.items())
    lines = [
        "`python -m tools.one_rate`",
        "",
        (
            "Test loss in nats with its 95 % interval over seeds and rows (one claim each, bold"
            " where it excludes zero); after it training loss, the mean of the last ten steps,"
            f" in percent of LoRA's. In brackets: share of its trained parameters. {seeds}."
        ),
        "",
    ]
    tables: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name, pooled in places.items():
        tables.setdefault((pooled.model, *pooled.titles), []).extend(rows(pooled, name))
    for (_, *titles), body in tables.items():
        table = [("where", "rate", *titles), ("---",) * (2 + len(titles)), *body]
        lines += [*(f"| {' | '.join(row)} |" for row in table), ""]
    return "\n".join(lines)


def without_page(places: dict[str, Pooled]) -> list[str]:
    """Return the table of methods that share QTHA's advantage over LoRA r = 2 at a small rate."""
    table = [("where", "rate", *AGAINST_SMALL), ("---",) * (2 + len(AGAINST_SMALL))]
    table += [row for place, pooled in places.items() for row in rows(pooled, place)]
    return [
        "The same for QTHA without its circuit and for a larger LoRA; three seeds, as in the"
        " figure.",
        "",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
    ]


def circuit_page(comparisons: Sequence[Compared]) -> list[str]:
    """Return the table of differences that the circuit makes, by shared rate, with their pool."""
    by_rate: dict[float, dict[str, PairedDifference]] = {}
    for of in comparisons:
        task = of.frame["task"].iloc[0]
        items = read_items(of.runs.values())
        for pair, rate, difference in shared_rates(of.frame, without_circuit(of), items):
            by_rate.setdefault(rate, {})[f"{pair[0]}, {task}"] = difference
    columns = sorted({column for of in by_rate.values() for column in of}, reverse=True)
    lines = [("rate", *(f"`{column}`" for column in columns), "pooled"), ("---",) * 6]
    for rate, of in sorted(by_rate.items()):
        records = [vars(d) | {"seed_error": d.seed_error} for d in of.values()]
        pooled = pool("with", "without", records, pooled=len(by_rate))
        cells = [_interval(of[column]) if column in of else "–" for column in columns]
        lines.append((f"{rate:g}", *cells, _interval(pooled)))
    return [
        "Test loss with the circuit − without it, SmolLM2-135M, three seeds. The last column pools"
        f" the others (random effects); its {len(by_rate)} intervals hold together with 95 %.",
        "",
        *(f"| {' | '.join(row)} |" for row in lines),
        "",
    ]


def _interval(of: PairedDifference | PooledDifference) -> str:
    """Return mean and interval, bold where zero is excluded."""
    text = f"{of.mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"
    return text if of.low <= 0 <= of.high else f"**{text}**"


def figure(places: dict[str, Pooled]) -> Figure:
    """Return the figure of the differences against the shared rate, a panel per place."""
    found = []
    for place, pooled in places.items():
        names = {pair: title for title, pair in pooled.pairs.items()}
        rates = shared_rates(pooled.frame, list(names), pooled.items)
        found += [of.row(names[of.pair], place) for of in rates]
    return difference_by_rate(found)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for place, (model, *measured) in PLACES.items():
            for name in measured:
                unpack(RESULTS / name / PACKED, Path(folder) / name)
            compared = (Compared.of(Path(folder) / name) for name in measured)
            places[place] = Pooled.of(model, compared, pairs_on(model))
        parts = [Compared.of(Path(folder) / name) for name in CIRCUIT]
        drawn = {
            f"SmolLM2, {of.frame['task'].iloc[0]}": Pooled.of("smollm2-135m", [of], AGAINST_SMALL)
            for of in parts
        }
        text = "\n".join([page(places), *without_page(drawn), *circuit_page(parts)])
    (PAGES / "one-rate.md").write_text(text, encoding="utf-8")
    PICTURE.write_text(figure(drawn).svg() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
