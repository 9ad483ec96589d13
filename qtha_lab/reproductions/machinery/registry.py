"""Reproductions by name: each file of `qtha_lab.reproductions` that declares one is found by itself.

Declares; runs nothing. What a claim comes to is in `verdicts`, who runs the arms in `driving`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qtha_lab.errors import Refusal
from qtha_lab.measures import MEASURES
from qtha_lab.registry import Registry
from qtha_lab.settings import unknown

LEAST_SEEDS = 5  # of a full reproduction
QUICK_SEEDS = 3  # the fewest that give an interval


@dataclass(frozen=True)
class Claim:
    """That one arm does better than another, or than a number, in one measure.

    Attributes:
        arm: Of which it is said.
        control: The arm that it is held against, or a number.
        measure: A key of the runs' summaries, such as `accuracy` or `eval_loss`.
        says: The claim in words.
        better: Which way is good; "" is what the measure declares.
        margin: How much worse than the control still counts, in the measure's unit: 0 claims a difference, more
            claims to be no worse than that.

    Example:
        >>> claim = Claim("staged", "end_to_end", "eval_loss", "training in stages ends lower")
        >>> claim.is_lower_better
        True
    """

    arm: str
    control: str | float
    measure: str
    says: str
    better: Literal["", "lower", "higher"] = ""
    margin: float = 0.0

    @property
    def is_lower_better(self) -> bool:
        """Which way is good."""
        declared = MEASURES.get(self.measure)
        return (self.better or (declared.better if declared else "lower")) == "lower"


@dataclass(frozen=True)
class Reproduction:
    """A paper's small task, its arms and what is claimed of them; see `reproduction` for the words.

    Attributes:
        run: Called with arm, seed, quick and log, it does the work; called with the first three, it gives the
            `Experiment` that is fine-tuned.
        is_fine_tune: Which of the two.
        takes_earlier: Whether a fine-tune is given the folders of the arms before it, of the same seed.
    """

    name: str
    title: str
    arxiv: str
    claim: str
    works: str
    source: str
    control: str
    data: str
    minutes: float
    arms: Mapping[str, str]
    claims: Sequence[Claim]
    steps: tuple[int, int]
    run: Callable[..., Any]
    is_fine_tune: bool
    takes_earlier: bool

    def n_steps(self, quick: bool) -> int:
        """Steps of one arm with one seed."""
        return self.steps[quick]


REPRODUCTIONS: Registry[Reproduction] = Registry(
    "reproduction", "qtha_lab.reproductions", group="qtha_lab.reproductions"
)


def reproduction(
    *,
    name: str,
    title: str,
    arxiv: str,
    claim: str,
    works: str,
    source: str,
    control: str,
    data: str,
    minutes: float,
    arms: Mapping[str, str],
    claims: Sequence[Claim],
    steps: tuple[int, int] = (1, 1),
) -> Callable[[Callable], Callable]:
    """Register the function below, which runs one arm with one seed.

    A function of `(arm, seed, quick, log)` does the work itself and tells it to the log (see `log.Log`). One of
    `(arm, seed, quick)` returns an `Experiment`, which is launched as any fine-tune is; if it has a fourth parameter
    `earlier`, the arms of a seed follow one another, and it has the folders of those that have finished, by name.

    Args:
        name: What it is called in `qtha-lab reproduce NAME`.
        title: The paper's system, in a few words.
        arxiv: The paper's number.
        claim: What the paper says, in a sentence.
        works: What a user of the workbench has of it: the setting or the command.
        source: Where mathematics and settings are from, and what is our reconstruction.
        control: The classical control and the others, in words.
        data: What it is tried on, in a word or two that a verdict names.
        minutes: How long the full form takes on two cores.
        arms: Every arm by name, with what it is in words.
        claims: What is tested of the arms; the first one is the paper's.
        steps: Steps of an arm, full and quick; a fine-tune states its own.

    Raises:
        Refusal: If a claim names no arm, or the name is taken.
    """
    for claimed in claims:
        for arm in (claimed.arm, claimed.control):
            if isinstance(arm, str) and arm not in arms:
                raise unknown(f"arm of reproduction {name}", arm, arms)
    if not claims:
        raise Refusal(f"reproduction {name!r} claims nothing: what is to be shown?")

    def register(function: Callable) -> Callable:
        parameters = inspect.signature(function).parameters
        entry = Reproduction(
            name, title, arxiv, claim, works, source, control, data, minutes, dict(arms), tuple(claims), steps,
            function, "log" not in parameters, "earlier" in parameters,
        )  # fmt: skip
        REPRODUCTIONS.add(name, entry, function.__module__)
        return function

    return register
