"""Reproductions by name: each file of `qtha_lab.reproductions` that declares one is found by itself.

Declares; runs nothing. What a claim comes to is in `verdicts`, who runs the arms in `driving`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import check_settings, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments

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
        settings: What one may set of it, a dataclass; None is nothing.
        check: Refuses what cannot run, called with those settings, or with nothing.
        options: The settings that differ from their defaults.
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
    settings: Any = None
    check: Callable[..., None] = lambda *settings: None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its name with the settings that differ, as `reproduction_of` reads it."""
        return calls.call(self.name, dict(self.options))

    def n_steps(self, quick: bool) -> int:
        """Steps of one arm with one seed."""
        return self.steps[quick]

    def arguments(self) -> tuple[Any, ...]:
        """Its settings, where it has any, for `check` and `run`."""
        return () if self.settings is None else (self.settings(**self.options),)


REPRODUCTIONS: Registry[Reproduction] = Registry(
    "reproduction", "qtha_lab.reproductions", group="qtha_lab.reproductions"
)


def reproduction_of(text: str) -> Reproduction:
    """The reproduction that a text names, with its settings: `NAME` or `NAME(setting=value,…)`.

    Raises:
        Refusal: If there is no such reproduction or setting, a value is out of its limits, or a library is missing.

    Example:
        >>> reproduction_of("lora(r=2)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: reproduction lora has no settings: leave out r
    """
    name, options = calls.parse_call(text, "reproduction")
    of = REPRODUCTIONS.get_or_refuse(name)
    if options and of.settings is None:
        raise Refusal(f"reproduction {name} has no settings: leave out {', '.join(options)}")
    declared = {} if of.settings is None else settings_of(of.settings)
    for option in options:
        if option not in declared:
            raise unknown(f"setting of {name}", option, declared)
    options = {n: value for n, value in options.items() if value != declared[n].default}
    values = {n: options.get(n, setting.default) for n, setting in declared.items()}
    chosen = replace(of, options=options, data=of.data.format(**values))
    for argument in chosen.arguments():
        check_settings(argument)
    chosen.check(*chosen.arguments())
    return chosen


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
    settings: type | None = None,
    check: Callable[..., None] = lambda *settings: None,
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
        settings: A dataclass of what one may set, whose names `data` may have in braces; an arm that does its own work
            is called with one more argument, `settings`.
        check: Refuses what cannot run, such as a library that is missing, before any work; called with the settings
            where there are any.

    Raises:
        Refusal: If a claim names no arm, or the name is taken.
    """
    for claimed in claims:
        for arm in (claimed.arm, claimed.control):
            if isinstance(arm, str) and arm not in arms:
                raise unknown(f"arm of reproduction {name}", arm, arms)
    if not claims:
        raise Refusal(f"reproduction {name!r} claims nothing: what is to be shown?")

    if settings is not None:
        with_arguments(settings)

    def register(function: Callable) -> Callable:
        parameters = inspect.signature(function).parameters
        entry = Reproduction(
            name, title, arxiv, claim, works, source, control, data, minutes, dict(arms), tuple(claims), steps,
            function, "log" not in parameters, "earlier" in parameters, settings, check,
        )  # fmt: skip
        REPRODUCTIONS.add(name, entry, function.__module__)
        return function

    return register
