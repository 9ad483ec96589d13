"""Verdicts on the claims of a reproduction, from the interval and a declared margin.

A claim is shown, its opposite is shown, both arms are equivalent, or it is inconclusive. A number
that is the same for every seed, such as a count of parameters, is computed and never shown. Reads
entries of runs; runs nothing. The claims of one reproduction are one family. With m claims, each
interval has the level 1 - 0.05/m, so that all hold together with 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from qtha_lab.core.metrics import MEASURES
from qtha_lab.reproductions.machinery.registry import PaperClaim, Reproduction
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.paired import (
    LEAST_SEEDS,
    PairedDifference,
    what_decides,
)
from qtha_lab.studies.comparison.row_losses import TestItems, paired_losses

Word = Literal[
    "shown",
    "opposite shown",
    "equivalent",
    "inconclusive",
    "not asked",
    "computed",
    "opposite computed",
]
EQUIVALENT = {
    **dict.fromkeys(("test_loss", "eval_loss", "eval_loss_start"), 0.02),  # nat
    **dict.fromkeys(("accuracy", "test_accuracy", "resynthesis_accuracy"), 0.01),
}
"""Differences within which two arms are equivalent, by measure; others have no margin."""
ROUNDING = 1e-9  # spread over seeds, relative to the difference, of a number that has no seed
Entries = Mapping[str, Mapping[int, Mapping[str, Any]]]


@dataclass(frozen=True)
class Verdict:
    """Verdict on a claim over the seeds.

    Attributes:
        claim: Claim.
        word: Verdict.
        difference: Arm minus control; None where too few seeds have both.
        means: Means of the arm and of the control.
        scale: Data, number of seeds and of paired test rows, in words.
    """

    claim: PaperClaim
    word: Word
    difference: PairedDifference | None
    means: tuple[float, float] | None
    scale: str

    @property
    def sentence(self) -> str:
        """Verdict in words, with interval, scale and data."""
        head = f"{self.claim.says}: {self.word}"
        if self.difference is None or self.means is None:
            return f"{head} ({self.scale}; an interval needs {LEAST_SEEDS} seeds with both arms)"
        d, control = self.difference, self.claim.control
        declared = MEASURES.get(self.claim.measure)
        words = declared.words if declared else self.claim.measure.replace("_", " ")
        other = control if isinstance(control, str) else "against"
        means = f"{words}, {self.claim.arm} {self.means[0]:.4g}, {other} {self.means[1]:.4g}"
        if self.word.endswith("computed"):
            return f"{head} ({means}; the same for every seed; {self.scale})"
        margin = self.claim.margin or (d.margin if self.word == "equivalent" else 0.0)
        parts = [
            means,
            f"difference {d.mean:+.3g}",
            f"{100 * (1 - d.level):.3g} % interval [{d.low:+.3g}, {d.high:+.3g}]",
            *([f"margin {margin:g}"] if margin else []),
            *([_missing(self.claim, d)] if self.word == "inconclusive" else []),
            self.scale,
        ]
        return f"{head} ({'; '.join(parts)})"

    def plain(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        return {
            **vars(self.claim),
            "verdict": self.word,
            "sentence": self.sentence,
            "means": self.means and list(self.means),
            "difference": self.difference and vars(self.difference),
        }


def _missing(claim: PaperClaim, difference: PairedDifference) -> str:
    """State the detectable difference, and the seeds or rows that would decide."""
    if claim.margin:  # decided where the interval excludes the margin
        limit = claim.margin if claim.is_lower_better else -claim.margin
        difference = replace(difference, mean=difference.mean - limit, margin=0.0)
    return f"detectable {difference.detectable:.3g}, {what_decides(difference)}"


def verdicts(
    of: Reproduction,
    entries: Entries,
    quick: bool = False,
    items: Mapping[str, TestItems] | None = None,
) -> list[Verdict]:
    """Return the verdict on every claim of a reproduction.

    Args:
        of: Reproduction with the claims.
        entries: Entries of finished runs, by arm and seed.
        quick: The entries are of the quick form.
        items: Test rows by run id; test losses of runs that have them are paired by row too.
    """
    return [_verdict(claim, of, entries, quick, items or {}) for claim in of.claims]


def word(claim: PaperClaim, difference: PairedDifference) -> Word:
    """Decide a claim by the position of an interval relative to its margin.

    A claim with a seed that diverged is inconclusive.

    A difference that is the same for every seed is computed. A claim is not asked if both arms end
    alike in every seed, as where neither reaches a goal.

    Example:
        >>> gain = PairedDifference(0.03, 0.01, 0.05, 0.06, seeds=5, items=1, spread=0.02)
        >>> word(PaperClaim("a", "b", "accuracy", "more accurate"), gain)
        'shown'
        >>> word(PaperClaim("a", "b", "eval_loss", "lower"), gain)
        'opposite shown'
        >>> word(PaperClaim("a", "b", "eval_loss", "no worse than 0.1", margin=0.1), gain)
        'shown'
        >>> fewer = PairedDifference(-5.0, -5.0, -5.0, 0.0, seeds=5, items=1, spread=0.0)
        >>> word(PaperClaim("a", "b", "trainable_parameters", "trains fewer numbers"), fewer)
        'computed'
    """
    low, high = difference.low, difference.high
    if difference.lost:
        return "inconclusive"
    if claim.is_lower_better:
        low, high = -high, -low
    if difference.mean and difference.spread <= ROUNDING * abs(difference.mean):
        return "computed" if low > -claim.margin else "opposite computed"
    if low > -claim.margin:
        return "shown"
    if high < -claim.margin:
        return "opposite shown"
    if claim.measure in EQUIVALENT:
        return "equivalent" if difference.is_within_margin else "inconclusive"
    alike = not difference.mean and not difference.spread
    return "not asked" if alike else "inconclusive"


def _verdict(
    claim: PaperClaim,
    of: Reproduction,
    entries: Entries,
    quick: bool,
    items: Mapping[str, TestItems],
) -> Verdict:
    control = claim.control if isinstance(claim.control, str) else claim.arm
    sides = [_measured(entries.get(arm, {}), claim.measure) for arm in (claim.arm, control)]
    seeds = sorted(sides[0].keys() & sides[1].keys())
    data = f"quick form of {of.data}" if quick else of.data
    if len(seeds) < LEAST_SEEDS:
        return Verdict(claim, "not asked", None, None, f"{data}, {len(seeds)} seeds")
    first, second = (results_frame(side[seed] for seed in seeds) for side in sides)
    losses = paired_losses(first, second, items, claim.measure)
    assert losses is not None  # every entry has the measure
    if not isinstance(claim.control, str):
        weights = None if losses.rows is None else losses.rows.weights
        shares = np.ones(losses.first.shape[1]) if weights is None else weights
        losses = losses._replace(second=np.tile(claim.control * shares, (len(seeds), 1)))
    difference = replace(
        losses.difference(len(of.claims), EQUIVALENT.get(claim.measure, 0.0)),
        lost=_lost(claim, entries),
    )
    means = float(losses.first.mean()), float(losses.second.mean())
    scale = f"{data}, {difference.scale}"
    if difference.lost:
        scale += f"; {difference.lost} seeds without a result"
    decided = "not asked" if is_gated(claim, means) else word(claim, difference)
    return Verdict(claim, decided, difference, means, scale)


def is_gated(claim: PaperClaim, means: tuple[float, float]) -> bool:
    """Return True if a claim's control guesses or both arms are at the ceiling.

    A control guesses if its mean exceeds `chance` by at most the margin of its measure.

    Example:
        >>> claim = PaperClaim("a", "b", "test_accuracy", "better", chance=0.1, ceiling=0.995)
        >>> [is_gated(claim, means) for means in ((0.7, 0.094), (1.0, 0.997), (0.9, 0.8))]
        [True, True, False]
    """
    sign = -1 if claim.is_lower_better else 1
    margin = EQUIVALENT.get(claim.measure, 0.0)
    guesses = claim.chance is not None and sign * (means[1] - claim.chance) <= margin
    ceiling = claim.ceiling
    return guesses or (ceiling is not None and all(sign * (m - ceiling) >= 0 for m in means))


def _lost(claim: PaperClaim, entries: Entries) -> int:
    """Count the seeds of a claim's arms without its measure, such as those that diverged."""
    arms = [claim.arm, *([claim.control] if isinstance(claim.control, str) else [])]
    return len(
        {
            seed
            for arm in arms
            for seed, entry in entries.get(arm, {}).items()
            if entry.get(claim.measure) is None
        }
    )


def _measured(by_seed: Mapping[int, Mapping[str, Any]], measure: str) -> Mapping[int, Any]:
    """Return the entries that have a measure, by seed."""
    return {seed: entry for seed, entry in by_seed.items() if entry.get(measure) is not None}


def headline(plain: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdict on the paper's own claims, with the counts of all claims.

    Example:
        >>> shown, own = {"verdict": "shown"}, {"verdict": "inconclusive", "from_paper": True}
        >>> headline([shown, own])
        'inconclusive; 1 of 2 claims shown'
        >>> headline([shown | {"from_paper": True}, own, {"verdict": "computed"}])
        "shown for 1 of the paper's 2 claims; 1 of 3 claims shown, 1 computed"
        >>> headline([shown])
        "the paper's claim not run; 1 of 1 claims shown"
    """
    words = [claim["verdict"] for claim in plain]
    if len(words) == 1 and plain[0].get("from_paper"):
        return words[0]
    short = {"opposite shown": "opposite"}
    rest = "".join(
        f", {count} {short.get(word, word)}"
        for word in get_args(Word)[1:]
        if word != "inconclusive" and (count := words.count(word))
    )
    return f"{paper_verdict(plain)}; {words.count('shown')} of {len(words)} claims shown{rest}"


def paper_verdict(plain: Sequence[Mapping[str, Any]]) -> str:
    """Return the common verdict of the paper's own claims, or how many are shown."""
    own = [claim["verdict"] for claim in plain if claim.get("from_paper")]
    if not own:
        return "the paper's claim not run"
    if len(set(own)) == 1:
        return own[0]
    return f"shown for {own.count('shown')} of the paper's {len(own)} claims"
