"""Verdicts on the claims of a reproduction: shown, not shown, or the opposite shown.

Reads entries of runs; runs nothing. The claims of one reproduction are one family. With m claims,
each interval has the level 1 - 0.05/m, so that all hold together with 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from qtha_lab.core.metrics import MEASURES
from qtha_lab.reproductions.machinery.registry import Claim, Reproduction
from qtha_lab.studies.comparison.paired import (
    LEAST_SEEDS,
    PairedDifference,
    paired_difference,
)

Word = Literal["shown", "not shown", "the opposite shown", "not asked"]
Entries = Mapping[str, Mapping[int, Mapping[str, Any]]]


@dataclass(frozen=True)
class Verdict:
    """Verdict on a claim over the seeds.

    Attributes:
        claim: Claim.
        word: Verdict.
        difference: Arm minus control; None where too few seeds have both.
        means: Means of the arm and of the control.
        scale: Data and number of seeds, in words.
    """

    claim: Claim
    word: Word
    difference: PairedDifference | None
    means: tuple[float, float] | None
    scale: str

    @property
    def sentence(self) -> str:
        """Verdict in words, with interval, scale and data."""
        head = f"{self.claim.says}: {self.word}"
        if self.difference is None or self.means is None:
            return f"{head} ({self.scale}: an interval needs {LEAST_SEEDS} seeds with both arms)"
        d, control = self.difference, self.claim.control
        declared = MEASURES.get(self.claim.measure)
        words = declared.words if declared else self.claim.measure.replace("_", " ")
        margin = f", margin {self.claim.margin:g}" if self.claim.margin else ""
        return (
            f"{head} ({words}, {self.claim.arm} {self.means[0]:.4g},"
            f" {control if isinstance(control, str) else 'against'} {self.means[1]:.4g}: difference"
            f" {d.mean:+.3g}, {100 * (1 - d.level):.3g} % interval [{d.low:+.3g},"
            f" {d.high:+.3g}]{margin}; {self.scale})"
        )

    def plain(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        numbers = None if self.difference is None else vars(self.difference)
        return {
            **vars(self.claim),
            "word": self.word,
            "sentence": self.sentence,
            "means": self.means and list(self.means),
            "difference": numbers,
        }


def verdicts(of: Reproduction, entries: Entries, quick: bool = False) -> list[Verdict]:
    """Return the verdict on every claim of a reproduction.

    Args:
        of: Reproduction with the claims.
        entries: Entries of finished runs, by arm and seed.
        quick: The entries are of the quick form.
    """
    return [_verdict(claim, of, entries, quick) for claim in of.claims]


def word(claim: Claim, difference: PairedDifference) -> Word:
    """Decide a claim by the position of an interval relative to its margin.

    Example:
        >>> gain = PairedDifference(0.03, 0.01, 0.05, 0.06, seeds=5, items=1, spread=0.02)
        >>> word(Claim("a", "b", "accuracy", "more accurate"), gain)
        'shown'
        >>> word(Claim("a", "b", "eval_loss", "lower"), gain)
        'the opposite shown'
        >>> word(Claim("a", "b", "eval_loss", "no worse than 0.1", margin=0.1), gain)
        'shown'
    """
    low, high = difference.low, difference.high
    if claim.is_lower_better:
        low, high = -high, -low
    if low > -claim.margin:
        return "shown"
    return "the opposite shown" if high < -claim.margin else "not shown"


def _verdict(claim: Claim, of: Reproduction, entries: Entries, quick: bool) -> Verdict:
    values = _values(entries.get(claim.arm, {}), claim.measure)
    control = claim.control
    others = (
        _values(entries.get(control, {}), claim.measure)
        if isinstance(control, str)
        else dict.fromkeys(values, float(control))
    )
    seeds = sorted(values.keys() & others.keys())
    form = "quick form of " if quick else ""
    scale = f"{form}{of.data}, {len(seeds)} seeds"
    if len(seeds) < LEAST_SEEDS:
        return Verdict(claim, "not asked", None, None, scale)
    first, second = (np.array([side[seed] for seed in seeds]) for side in (values, others))
    difference = paired_difference(first, second, claims=len(of.claims))
    means = float(first.mean()), float(second.mean())
    return Verdict(claim, word(claim, difference), difference, means, scale)


def _values(by_seed: Mapping[int, Mapping[str, Any]], measure: str) -> dict[int, float]:
    numbers = {seed: entry.get(measure) for seed, entry in by_seed.items()}
    return {seed: float(value) for seed, value in numbers.items() if value is not None}


def headline(plain: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdict on the paper's claim, with the counts of all claims.

    Args:
        plain: Claims as from `Verdict.plain`.

    Example:
        >>> headline([{"word": "not shown"}, {"word": "shown"}])
        'not shown; of 2 claims 1 shown'
        >>> headline([{"word": "shown"}, {"word": "not shown"}, {"word": "the opposite shown"}])
        'shown; of 3 claims 1 shown, of 1 the opposite'
    """
    words = [claim["word"] for claim in plain]
    if len(words) == 1:
        return words[0]
    opposite = words.count("the opposite shown")
    rest = f", of {opposite} the opposite" if opposite else ""
    return f"{words[0]}; of {len(words)} claims {words.count('shown')} shown{rest}"
