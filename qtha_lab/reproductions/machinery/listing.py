"""Tables of all reproductions: claim, setting, last verdict, minutes and source.

A system has one row, also where it runs on a second task as a variant. The last verdict is that in
the run folder, else the one shipped with the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtha_lab.experiment.run_directory import read_mapping
from qtha_lab.reproductions.machinery.registry import REPRODUCTIONS, Reproduction
from qtha_lab.reproductions.machinery.reproduction_study import OUT, VERDICT
from qtha_lab.reproductions.machinery.tuning import (
    n_trial_seeds,
    runs_of_today,
    trial_sentences,
)
from qtha_lab.reproductions.machinery.verdicts import headline

RECORDED = Path(__file__).parent.parent / "recorded"
UNKNOWN = "no number known here"
HEAD: tuple[str, ...] = (
    "system",
    "arXiv",
    "claim",
    "paper says",
    "verdict here",
    "available here",
    "minutes",
    "source",
)


def verdict_of(name: str, out: Path | str = OUT) -> dict[str, Any] | None:
    """Return the last verdict of the full form, run here or shipped; None without one."""
    return read_mapping(Path(out) / name / VERDICT) or recorded_verdict(name)


def recorded_verdict(name: str) -> dict[str, Any] | None:
    """Return the shipped verdict of a full reproduction, whose arms lie in columns."""
    verdict = read_mapping(RECORDED / f"{name}.json")
    if verdict is None:
        return None
    return verdict | {"arms": {arm: entries_of(of) for arm, of in verdict["arms"].items()}}


def entries_of(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return one entry per run from columns of equal length; None is no value.

    Example:
        >>> entries_of({"seed": [0, 1], "accuracy": [0.5, None]})
        [{'seed': 0, 'accuracy': 0.5}, {'seed': 1}]
    """
    rows = zip(*columns.values(), strict=True)
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None}
        for row in rows
    ]


def short_table(out: Path | str = OUT) -> list[tuple[str, ...]]:
    """Return the row of every system, heading first: claim, verdict, scale, minutes, origin."""
    head = ("name", "arXiv", "claim", "paper says", "last verdict", "scale", "minutes")
    rows: list[tuple[str, ...]] = [(*head, "date, commit")]
    for name, of in _systems():
        verdict = verdict_of(name, out)
        word = headline(verdict["claims"]) if verdict else "not run"
        for variant in _variants(name):
            its = verdict_of(variant.name, out)
            task = variant.name.removeprefix(f"{name}_")
            word += f"; task={task}: {headline(its['claims']) if its else 'not run'}"
        scale = f"{of.data}; {verdict['seeds']} seeds" if verdict else of.data
        scale += "; rates tuned" if verdict and verdict.get("tuned") else ""
        origin = _when(verdict or {})
        says = of.paper_says or UNKNOWN
        rows.append((name, of.arxiv, of.claim, says, word, scale, _minutes(of, verdict), origin))
    return rows


def _systems() -> list[tuple[str, Reproduction]]:
    """Return the reproductions without variants, by name."""
    return [(name, of) for name, of in REPRODUCTIONS.items() if not of.variant_of]


def _variants(name: str) -> list[Reproduction]:
    return [of for of in REPRODUCTIONS.values() if of.variant_of == name]


def _when(verdict: dict[str, Any]) -> str:
    """Return date and commit of a verdict; a dash where none was recorded."""
    return f"{date_of(verdict)}, {verdict.get('commit', '')[:7] or '–'}" if verdict else "–"


def date_of(verdict: dict[str, Any]) -> str:
    """Return the date of a verdict, or that of its last run."""
    if date := verdict.get("date"):
        return date
    day = max(run["run_id"] for of in verdict["arms"].values() for run in of)[:8]
    return "-".join((day[:4], day[4:6], day[6:]))


def system_table() -> list[tuple[str, ...]]:
    """Return every system with its shipped verdict, by arXiv number, heading first."""
    rows = [HEAD]
    for name, of in sorted(_systems(), key=lambda item: item[1].arxiv):
        verdict = recorded_verdict(name)
        word = headline(verdict["claims"]) if verdict else "not run"
        says = of.paper_says or UNKNOWN
        minutes = _minutes(of, verdict)
        rows.append((of.title, of.arxiv, of.claim, says, word, of.works, minutes, of.source))
    return rows


def _minutes(of: Reproduction, verdict: dict[str, Any] | None) -> str:
    """Return the minutes with the trial seeds of today, from the record or as declared."""
    if verdict is None:
        return f"{of.minutes:g}"
    runs = runs_of_today(verdict.get("tuned", {}), verdict["seeds"])
    return f"{runs * verdict['seconds'] / 60:.3g}"


def sections() -> str:
    """Return the shipped verdicts in full, as Markdown.

    Every claim has interval, scale, data and command.
    """
    lines = []
    for name, of in sorted(REPRODUCTIONS.items(), key=lambda item: item[1].arxiv):
        if verdict := recorded_verdict(name):
            lines += [f"### {of.title} ({of.arxiv})", "", f"Control: {of.control}.", ""]
            lines += [f"- {claim['sentence']}" for claim in verdict["claims"]]
            lines += _tuned(verdict.get("tuned", {}))
            minutes = verdict["seconds"] / 60
            lines += ["", f"`{verdict['command']}`, {minutes:.1f} minutes of run time.", ""]
    return "\n".join(lines)


def _tuned(tuned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the sentences on the tuned learning rates; none without them."""
    arms = [
        f"{arm} {of['rate']:g} ({', '.join(f'{rate:g}' for rate in of['tried'])})"
        for arm, of in tuned.items()
    ]
    if not arms:
        return []
    seeds = max(map(n_trial_seeds, tuned.values()))
    own = "a seed" if seeds == 1 else f"{seeds} seeds"
    words = f"Learning rates, chosen on evaluation rows with {own} of their own (tried):"
    return ["", " ".join([f"{words} {'; '.join(arms)}.", *trial_sentences(tuned)])]
