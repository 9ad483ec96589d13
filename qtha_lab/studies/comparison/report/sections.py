"""Report sections on the results of one (model, task) pair, in order.

A section without data states the reason in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.best_of_trials import best_of_trials
from qtha_lab.figures.circuit_inputs import Blocks, by_block, circuit_inputs
from qtha_lab.figures.forest import Difference, forest
from qtha_lab.figures.learning_rate import End, loss_against_rate
from qtha_lab.figures.machinery.table import Table, value_text
from qtha_lab.figures.pareto import Point, pareto
from qtha_lab.figures.seeds import seed_spread
from qtha_lab.studies.comparison import (
    findings,
    table,
    tuning,
)
from qtha_lab.studies.comparison.claims import without_a_loss
from qtha_lab.studies.comparison.paired import LEAST_SEEDS
from qtha_lab.studies.comparison.report.contents import Compared, Entry
from qtha_lab.studies.comparison.report.section import Section
from qtha_lab.studies.comparison.trial_statistics import budget

MOST_BANDS = 3
COSTS = ("trainable_parameters", "peak_memory_mib", "seconds_per_step", "adapter_kib")


def verdict_section(compared: Compared) -> Section:
    """Build the section of claims, with each method's results at its best rate."""
    sentences = missing(compared) + stated(compared)
    return Section("verdicts", "Verdicts", sentences, tables=results_tables(compared))


def stated(compared: Compared) -> list[str]:
    """Return the verdicts and missing comparisons, or the reason for none."""
    lacking = [missing.sentence for missing in without_a_loss(compared.entries)]
    claimed = [claim["sentence"] for claim in compared.claims]
    return [*claimed, *lacking] or [no_claim_reason(compared)]


def missing(compared: Compared) -> list[str]:
    """Return sentences on runs without a result and on runs to come.

    `expected` from the summary counts the runs of the whole comparison.
    """
    expected = compared.summary.get("expected") or len(compared.comparison.experiments())
    return findings.missing(compared.summary["runs"], expected)


def results_tables(compared: Compared) -> dict[str, Table]:
    """Build the tables of learning results and costs at each method's best rate."""
    learnt, costs = _results(compared) or (None, None)
    tables = {
        "Learning results at each method's best learning rate: mean [minimum–maximum]": learnt,
        "Scores and costs of the same runs": costs,
    }
    return {caption: rows for caption, rows in tables.items() if rows is not None}


def no_claim_reason(compared: Compared) -> str:
    """State the reason why no claim is made."""
    if not compared.families:
        return "No claim is made: no run has ended."
    if len(compared.families) < 2:
        return "No claim is made: there is one method."
    shared = [
        {entry["seed"] for entry in group} for group in compared.by_family(compared.best).values()
    ]
    most = max((len(shared[0] & seeds) for seeds in shared[1:]), default=0)
    return (
        f"No claim is made: an interval needs {LEAST_SEEDS} seeds that two methods have"
        f" finished at their best rates, and here there {'is' if most == 1 else 'are'}"
        f" {most or 'none'}."
    )


def _results(compared: Compared) -> list[Table] | None:
    """Build the results tables with short method names and best learning rates."""
    named = [{**entry, "label": compared.names[entry["family"]]} for entry in compared.best]
    best = {entry["label"]: value_text(entry.get("learning_rate")) for entry in named}
    parts = table.tables({**compared.summary, "runs": named, "tried": compared.summary["runs"]})
    return [
        Table(
            (columns[0], "learning_rate", *columns[1:]),
            [(row[0], best[row[0]], *row[1:]) for row in rows],
        )
        for columns, *rows in parts
    ] or None


def rates(compared: Compared) -> Section:
    """Build the section of loss against learning rate.

    With one rate per method, it shows the spread over the seeds.
    """
    title = "Loss against learning rate"
    by_family = tuning.rates(compared.entries)
    if not by_family:
        return Section("rates", title, ["No run has ended with an evaluation loss yet."])
    if all(len(by_rate) == 1 for by_rate in by_family.values()):
        chosen = ", ".join(f"{name} {next(iter(by_rate)):g}" for name, by_rate in by_family.items())
        sentence = (
            f"Not tuned: each method ran at one learning rate ({chosen}), so there is no curve, and"
            " at another rate the order may turn round. `learning_rates` or `tuning` in the"
            " comparison's file tries several. Where the seeds ended:"
        )
        if source := compared.comparison.rates_from:
            sentence = (
                f"Not tuned here: each method ran at one learning rate ({chosen}), chosen in"
                f" {source}. Where the seeds ended:"
            )
        if compared.comparison.tuning:
            sentence = (
                f"Each method ran at the rate of its best trial ({chosen}). Where the seeds ended:"
            )
        ends = {
            name: [v for values in by_rate.values() for v in values if math.isfinite(v)]
            for name, by_rate in by_family.items()
        }
        return Section("rates", title, [sentence], [seed_spread(ends)], names=compared.names)
    ends = [
        End(
            label=entry["family"],
            seed=entry["seed"],
            learning_rate=entry["learning_rate"],
            value=None if entry["state"] == "diverged" else entry["eval_loss"],
        )
        for entry in compared.entries
        if "learning_rate" in entry
        and (entry["state"] == "diverged" or entry.get("eval_loss") is not None)
    ]
    sentences = [tuning.rates_sentence(compared.entries) or ""]
    return Section("rates", title, sentences, [loss_against_rate(ends)], names=compared.names)


def differences(compared: Compared) -> Section:
    """Build the section with the forest of paired differences to the first method."""
    title = "Differences, paired by seed"
    claims = compared.claims
    if not claims:
        sentence = "No interval is drawn, since no claim is made (see the verdicts)."
        return Section("differences", title, [sentence])
    first = claims[0]
    sentences = []
    compared_or_lacking = {claim["first"] for claim in claims} | {
        missing.first for missing in without_a_loss(compared.entries)
    }
    if without := [name for name in compared.families[1:] if name not in compared_or_lacking]:
        sentences.append(f"Without {LEAST_SEEDS} seeds in common: {', '.join(without)}.")
    figure = forest(
        differences_of(claims, "first"), first["measure"], first["second"], first["level"]
    )
    return Section("differences", title, sentences, [figure], names=compared.names)


def differences_of(claims: Iterable[Mapping[str, Any]], label: str) -> list[Difference]:
    """Convert claims to rows of a forest plot.

    The field named `label` gives the row label.
    """
    return [
        {
            "label": claim[label],
            "mean": claim["mean"],
            "low": claim["low"],
            "high": claim["high"],
            "verdict": claim["verdict"],
            "margin": claim["margin"],
        }
        for claim in claims
    ]


def parts(compared: Compared) -> Section:
    """Build the section on the effect of each part of QTHA."""
    title = "What each part adds"
    rows = compared.parts
    if not rows:
        sentence = (
            "No part was measured: that needs a QTHA with its circuit beside its controls"
            f" (`qtha+controls` among the methods), {LEAST_SEEDS} seeds of each."
        )
        return Section("parts", title, [sentence])
    figure = forest(differences_of(rows, "part"), rows[0]["measure"], "", rows[0]["level"])
    figure = replace(figure, name="forest_of_parts", title="What each part changes")
    columns = ("part", "with it", "without it", "difference", "low", "high", "p", "verdict")
    cells = [
        (
            row["part"],
            *(named(compared, row[side]) for side in ("first", "second")),
            *(row[name] for name in ("mean", "low", "high", "p", "verdict")),
        )
        for row in rows
    ]
    sentence = (
        "Each part is the difference of a method that has it to the same method without it; less is"
        " better, so a part that helps lies left of zero."
    )
    caption = "The two methods of each part, and their difference (p of the same intervals)"
    return Section(
        "parts", title, [sentence], [figure], {caption: Table(columns, cells)}, names=compared.names
    )


def named(compared: Compared, label: str) -> str:
    """Return the short name of a method, or the label without a short name."""
    return compared.names.get(label) or label


def why(compared: Compared) -> Section:
    """Build the section on circuit inputs and outputs.

    Shows one run per method at its best learning rate.
    """
    title = "Why: what circuits are fed, and what arrives"
    if not compared.runs:
        return Section("why", title, ["The directories of the runs are not here to be read."])
    facts = {}
    for name, entries in compared.by_family(compared.best).items():
        first = [run for e in entries if (run := compared.runs.get(e.get("run_id", "")))][:1]
        if by_run := [blocks for run in first if (blocks := by_block(run.valid_events()))]:
            facts[name] = by_run[0]
    if not facts:
        sentence = (
            "No run recorded what a circuit is fed: none of these methods has one, or they ran"
            " before it was recorded."
        )
        return Section("why", title, [sentence])
    sentence = (
        "One run of each method that has a circuit or something in its place, at its best learning"
        " rate."
    )
    sentences = [sentence, *_affine_parts(facts)]
    return Section("why", title, sentences, [circuit_inputs(facts)], names=compared.names)


def _affine_parts(facts: Mapping[str, Mapping[str, Blocks]]) -> list[str]:
    """State the share of circuit output power that an affine map reproduces."""
    shares = {}
    for name, times in facts.items():
        blocks = times.get("end", {}).values()
        known = [part for block in blocks if (part := block.get("affine_part")) is not None]
        if known:
            shares[name] = f"{name} {100 * float(np.mean(known)):.0f} %"
    if not shares:
        return []
    return [
        "An affine map of what the bottleneck is fed would give as much of the power of ⟨Z⟩ at the"
        f" end, in the mean over blocks: {', '.join(shares.values())}; the rest is what a linear"
        " branch and a bias cannot do."
    ]


def fronts(compared: Compared) -> Section:
    """Build the section of loss against each cost, with Pareto-optimal methods."""
    title = "Pareto fronts"
    groups = compared.by_family(compared.best)
    if len(groups) < 2:
        count = "One method has" if groups else "No method has"
        return Section("fronts", title, [f"{count} finished: a front needs two."])
    figures, sentences = [], []
    most = max(map(len, groups.values()))
    bars = "interval" if most >= LEAST_SEEDS else "range"
    for cost in COSTS:
        points = [
            _point(name, group, cost, compared.measure, bars) for name, group in groups.items()
        ]
        known = [point for point in points if point is not None]
        if len(known) > 1:
            figures.append(pareto(known, cost, compared.measure, bars=bars))
        else:
            sentences.append(f"No {MEASURES[cost].words} was recorded of two methods.")
    if beside := findings.side_by_side(compared.best):
        sentences.append(beside)
    if bars == "range":
        sentences.append(f"No interval is drawn: that needs {LEAST_SEEDS} seeds of a method.")
    return Section("fronts", title, sentences, figures, names=compared.names)


def _point(
    label: str, entries: Sequence[Entry], cost: str, quality: str, bars: str
) -> Point | None:
    """Return means over seeds, with bars for quality and for varying costs."""
    pairs = [(e[cost], e[quality]) for e in entries if None not in (e.get(cost), e.get(quality))]
    if not pairs:
        return None
    costs, values = np.array(pairs, float).T
    point: Point = {"label": label, "cost": float(costs.mean()), "quality": float(values.mean())}
    if ends := _ends(values, bars):
        point["quality_low"], point["quality_high"] = ends
    if np.ptp(costs) and (ends := _ends(costs, bars)):
        point["cost_low"], point["cost_high"] = ends
    return point


def _ends(values: Float[np.ndarray, " seeds"], bars: str) -> tuple[float, float] | None:
    """Return the range, or the 95 % interval of the mean for three values."""
    if bars == "range":
        return float(values.min()), float(values.max())
    if len(values) < LEAST_SEEDS:
        return None
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return float(values.mean()) - half, float(values.mean()) + half


def trials(compared: Compared) -> Section:
    """Build the section of the expected best result against the number of trials."""
    title = "Best against trials"
    if compared.comparison.tuning:
        return _tuned_trials(compared, title)
    by_family = _trials(compared.entries)
    if all(len(values) < 2 for values in by_family.values()):
        sentence = (
            "Each method was tried at one learning rate: there is no search whose length could be"
            " weighed."
        )
        return Section("trials", title, [sentence])
    budgets = {
        name: curve for name, values in by_family.items() if (curve := budget(values)) is not None
    }
    if not budgets:
        return Section("trials", title, ["Every trial diverged: there is no best one."])
    sentence = "A trial is a learning rate; its value is the mean evaluation loss over its seeds."
    figure = best_of_trials(budgets, bands=len(budgets) <= MOST_BANDS)
    return Section("trials", title, [sentence], [figure], names=compared.names)


def _tuned_trials(compared: Compared, title: str) -> Section:
    """Build the section from the tuning trials recorded in the summary."""
    budgets = {
        record["method"]: curve
        for record in compared.summary.get("contenders") or ()
        if (curve := budget([math.inf if loss is None else loss for loss in record["trials"]]))
    }
    sentence = (
        "A trial is a point on the axes of the tuning; its value is the mean evaluation loss over"
        " the tuning's seeds."
    )
    figure = best_of_trials(budgets, bands=len(budgets) <= MOST_BANDS)
    return Section("trials", title, [sentence], [figure], names=compared.names)


def _trials(entries: Sequence[Entry]) -> dict[str, list[float]]:
    """Return mean losses of the learning rates with most seeds, by method.

    The order is that in which the rates were run.
    """
    order = list(dict.fromkeys(entry.get("learning_rate") for entry in entries))
    trials = {}
    for name, by_rate in tuning.rates(entries).items():
        most = max(map(len, by_rate.values()))
        whole = {rate: values for rate, values in by_rate.items() if len(values) == most}
        trials[name] = [float(np.mean(whole[rate])) for rate in order if rate in whole]
    return trials


OF_MODEL_TASK = (rates, differences, parts, why, fronts, trials)
