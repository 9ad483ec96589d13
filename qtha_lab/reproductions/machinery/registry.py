"""Registry of reproductions; each file of `qtha_lab.reproductions` is discovered.

Runs nothing. `verdicts` decides claims, and `run_arms` runs the arms.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import check_settings, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments

LEAST_SEEDS = 5  # minimum for a full reproduction
QUICK_SEEDS = 3  # fewest seeds that yield an interval


@dataclass(frozen=True)
class PaperClaim:
    """Claim that one arm is better than another, or than a number, in one measurement.

    Attributes:
        arm: Arm that the claim is about.
        control: Compared arm, or a number.
        measure: Key of the run summaries, such as `accuracy` or `eval_loss`.
        says: Claim in words.
        better: Better direction; "" uses that of the measurement.
        margin: Accepted deficit to the control, in the measurement's unit: 0 claims a difference, a
            positive margin claims non-inferiority.
        chance: Result of guessing; the claim is not asked where its control has learnt nothing.
        ceiling: Result above which arms cannot be told apart; the claim is not asked where both
            reach it.
        from_paper: True for a claim of the paper; its verdict heads the row of the system.

    Example:
        >>> claim = PaperClaim("staged", "end_to_end", "eval_loss", "training in stages ends lower")
        >>> claim.is_lower_better
        True
    """

    arm: str
    control: str | float
    measure: str
    says: str
    better: Literal["", "lower", "higher"] = ""
    margin: float = 0.0
    chance: float | None = None
    ceiling: float | None = None
    from_paper: bool = False

    @property
    def is_lower_better(self) -> bool:
        """True if lower values are better."""
        declared = MEASURES.get(self.measure)
        return (self.better or (declared.better if declared else "lower")) == "lower"


@dataclass(frozen=True)
class Reproduction:
    """Reproduction of a paper's small task, with its arms and claims.

    `reproduction` explains the fields.

    Attributes:
        run: Called with arm, seed, quick and log, does the work; with the first three, returns
            the `Experiment` to fine-tune. Settings, if any, are the last argument.
        data_form: Short name of the data with settings in braces, or a function of the settings.
        settings: Dataclass of settings; None for none.
        check: Refuses unsupported cases; called with those settings, or without arguments.
        options: Settings that differ from their defaults.
        is_fine_tune: True if `run` returns an `Experiment`.
        is_tuned: True if the full form chooses the learning rate of each arm first.
        takes_earlier: True if a fine-tune receives the folders of earlier arms of the same seed.
        variant_of: Name of the reproduction of the same system on its first task; "" is itself one.
        paper_says: Number of the paper beside the claim; "" where none is known here.
    """

    name: str
    title: str
    arxiv: str
    claim: str
    works: str
    source: str
    control: str
    data_form: str | Callable[..., str]
    minutes: float
    arms: Mapping[str, str]
    claims: Sequence[PaperClaim]
    steps: tuple[int, int]
    run: Callable[..., Any]
    is_fine_tune: bool
    takes_earlier: bool
    is_tuned: bool
    settings: Any = None
    check: Callable[..., None] = lambda *settings: None
    options: Mapping[str, Any] = field(default_factory=dict)
    variant_of: str = ""
    paper_says: str = ""

    @property
    def text(self) -> str:
        """Name with the settings that differ, as `reproduction_of` parses it."""
        return call_syntax.call(self.name, dict(self.options))

    @property
    def data(self) -> str:
        """Short name of the data with these settings."""
        if callable(self.data_form):
            return self.data_form(*self.arguments())
        declared = {} if self.settings is None else settings_of(self.settings)
        defaults = {name: setting.default for name, setting in declared.items()}
        return self.data_form.format(**{**defaults, **self.options})

    def n_steps(self, quick: bool) -> int:
        """Return the number of steps of one arm with one seed."""
        return self.steps[quick]

    def arguments(self) -> tuple[Any, ...]:
        """Return the settings, if any, as arguments of `check` and `run`."""
        return () if self.settings is None else (self.settings(**self.options),)


REPRODUCTIONS: Registry[Reproduction] = Registry(
    "reproduction", "qtha_lab.reproductions", group="qtha_lab.reproductions"
)


def reproduction_of(text: str) -> Reproduction:
    """Return the reproduction of a text `NAME` or `NAME(setting=value,…)`.

    `NAME(task=TASK)` is the variant `NAME_TASK`, where a system has one.

    Raises:
        Refusal: If a reproduction, setting or library is missing, or a value is out of its limits.

    Example:
        >>> reproduction_of("lora(r=2)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown setting of lora 'r'. Known: model, task
    """
    name, options = call_syntax.parse_call(text, "reproduction")
    variant = REPRODUCTIONS.get(f"{name}_{options.get('task')}")
    if variant is not None and variant.variant_of == name:
        name, options = variant.name, {k: v for k, v in options.items() if k != "task"}
    of = REPRODUCTIONS.get_or_refuse(name)
    if options and of.settings is None:
        raise Refusal(
            f"Reproduction {name} must be used without settings, got {', '.join(options)}."
        )
    declared = {} if of.settings is None else settings_of(of.settings)
    for option in options:
        if option not in declared:
            raise unknown(f"setting of {name}", option, declared)
    options = {n: value for n, value in options.items() if value != declared[n].default}
    chosen = replace(of, options=options)
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
    data: str | Callable[..., str],
    minutes: float,
    arms: Mapping[str, str],
    claims: Sequence[PaperClaim],
    steps: tuple[int, int] = (1, 1),
    settings: type | None = None,
    check: Callable[..., None] = lambda *settings: None,
    variant_of: str = "",
    paper_says: str = "",
    tuned: bool = False,
) -> Callable[[Callable], Callable]:
    """Register the decorated function, which runs one arm with one seed.

    A function of `(arm, seed, quick, log)` does the work itself and writes to the log (see
    `log.Log`). A function of `(arm, seed, quick)` returns an `Experiment`, which is launched as any
    fine-tuning run. With a fourth parameter `earlier`, the arms of a seed run one after another.
    The function then receives the folders of the finished arms, by name.

    Args:
        name: Name in `qtha-lab reproduce NAME`.
        title: Name of the paper's system.
        arxiv: arXiv number of the paper.
        claim: Claim of the paper, in a sentence.
        works: Related setting or command of the workbench.
        source: Source of mathematics and settings, with our reconstructions.
        control: Classical control and other controls, in words.
        data: Short name of the data, for verdicts. May contain names of settings in braces, or be
            a function of the settings.
        minutes: Run time of the full form on two cores.
        arms: Description of every arm, by name.
        claims: Tested claims; those of the paper are marked.
        steps: Steps of an arm, full and quick; a fine-tune declares its own.
        settings: Dataclass of settings, which the function receives as an additional last argument,
            `settings`.
        check: Refuses unsupported cases before any work, such as a missing library; called with
            the settings, if any.
        variant_of: Name of the reproduction of the same system on its first task. Tables have one
            row for both.
        paper_says: Number of the paper with its source, such as "76 % fewer parameters [P]".
        tuned: An arm that does its own work reads its learning rate by `log.rate`, which is chosen
            by its last evaluation loss. Fine-tunes always are.

    Raises:
        Refusal: If a claim names an unknown arm, or the name is taken.
    """
    for claimed in claims:
        for arm in (claimed.arm, claimed.control):
            if isinstance(arm, str) and arm not in arms:
                raise unknown(f"arm of reproduction {name}", arm, arms)
    if not claims:
        raise Refusal(f"Reproduction {name!r} has no claims.")

    if settings is not None:
        with_arguments(settings)

    def register(function: Callable) -> Callable:
        parameters = inspect.signature(function).parameters
        entry = Reproduction(
            name,
            title,
            arxiv,
            claim,
            works,
            source,
            control,
            data,
            minutes,
            dict(arms),
            tuple(claims),
            steps,
            function,
            "log" not in parameters,
            "earlier" in parameters,
            tuned or "log" not in parameters,
            settings,
            check,
            variant_of=variant_of,
            paper_says=paper_says,
        )
        REPRODUCTIONS.add(name, entry, function.__module__)
        return function

    return register
