"""Tables of all reproductions, and points of figures from the arms of a verdict.

A system has one row, also where it runs on a second task as a variant. The last verdict is that in
the run folder, else the one shipped with the package.
"""

from __future__ import annotations

import math
import re
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


Points = list[dict[str, Any]]
BITS = re.compile(r"\bw=(\d+)")
OF_ARM = re.compile(r"_w(\d+)")


def energies_of(verdict: Mapping[str, Any]) -> Points:
    """Return points of `figures.start_energy` from a verdict of `synergy`.

    Its arms with a tensor network are called `chi…`.

    Example:
        >>> entry = {"seed": 0, "start_error": 0.1, "energy_error": 0.01, "gradient_decay": 1.2}
        >>> [point["bond"] for point in energies_of({"arms": {"chi4": [entry], "small": [entry]}})]
        [4, None]
    """
    points = []
    for arm, entries in verdict["arms"].items():
        bond = int(arm.removeprefix("chi")) if arm.startswith("chi") else None
        label = arm if bond is None else f"bond {bond}"
        names = ("seed", "start_error", "energy_error", "gradient_decay")
        points += [{"label": label, "bond": bond} | {n: e[n] for n in names} for e in entries]
    return points


def rounded_of(verdict: Mapping[str, Any], bits: int | None = None) -> Points:
    """Return points of `figures.perplexity_by_bits` from the arms of a verdict.

    Each has the bits of its weights and exp of its evaluation loss.

    Example:
        >>> entry = {"seed": 0, "quantization": "round(w=3)", "eval_loss": 0.0}
        >>> rounded_of({"arms": {"grid_w3": [entry]}})
        [{'label': 'grid', 'bits': 3, 'seed': 0, 'perplexity': 1.0}]
    """
    points = []
    for arm, entries in verdict["arms"].items():
        for entry in entries:
            match = BITS.search(entry.get("quantization", "")) or OF_ARM.search(arm)
            points.append(
                {
                    "label": re.sub(r"_w\d+$", "", arm),
                    "bits": int(match[1]) if match else bits,
                    "seed": entry["seed"],
                    "perplexity": math.exp(entry["eval_loss"]),
                }
            )
    return points


def searches_of(verdict: Mapping[str, Any]) -> Points:
    """Return points of `figures.search_scatter` from a verdict of `architecture_search`.

    Example:
        >>> searches_of({"arms": {"search": [{"seed": 0, "cnots": 4, "accuracy": 0.8}]}})
        [{'label': 'search', 'n_cnots': 4, 'seed': 0, 'accuracy': 0.8}]
    """
    return [
        {
            "label": arm,
            "n_cnots": entry["cnots"],
            "seed": entry["seed"],
            "accuracy": entry["accuracy"],
        }
        for arm, entries in verdict["arms"].items()
        for entry in entries
    ]


def budget_of(verdict: Mapping[str, Any], data: str = "") -> list[dict[str, Any]]:
    """Return test accuracies by arm, qubits and seed.

    Example:
        >>> entry = {"seed": 0, "test_accuracy": 0.5}
        >>> arms = {"pca_2_36": [entry], "linear_36": [entry], "pca_2_39": [entry]}
        >>> budget_of({"arms": arms}, data="36")
        [{'label': 'pca', 'n_qubits': 2, 'seed': 0, 'test_accuracy': 0.5}, {'label': 'linear',
        'n_qubits': None, 'seed': 0, 'test_accuracy': 0.5}]
    """
    points = []
    for arm, entries in verdict["arms"].items():
        kind, *rest = arm.split("_")
        if data:
            if rest[-1:] != [data]:
                continue
            rest = rest[:-1]
        n = int(rest[0]) if rest else None
        points += [
            {
                "label": kind,
                "n_qubits": n,
                "seed": entry["seed"],
                "test_accuracy": entry["test_accuracy"],
            }
            for entry in entries
        ]
    return points
