"""Results of a comparison in few columns, one row per method at its best rate.

The columns have the names of `qtha-lab runs`. `table` has every learning rate in every column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery.table import value_text
from qtha_lab.studies.comparison import table
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.pivot_table import UNKNOWN, difference_text

PARAMETERS, RATE, SECONDS = "trainable_parameters", "learning_rate", "seconds_per_step"
OMITTED = (SECONDS, PARAMETERS)  # from a narrow page, the first first
REFERENCE, NONE = "reference", "–"
HEADINGS = {m.name: m.column for m in MEASURES.values() if m.column} | {RATE: "rate"}
COLUMNS = ("method", "seeds", "matching", "tuning", "difference", "verdict", *HEADINGS)


def default_columns(compared: Compared) -> list[str]:
    """Return the names of the seven default columns."""
    return ["method", PARAMETERS, RATE, compared.measure, "difference", "verdict", SECONDS]


def names_in_table(compared: Compared) -> dict[str, str]:
    """Return the title or the short name of each method, by label without learning rate."""
    titles = {
        name: title
        for name, label in compared.frame[["family", "label"]].itertuples(index=False)
        if (title := shown(label)) != label
    }
    names = compared.names | titles
    return names if len(set(names.values())) == len(names) else compared.names


def with_names(text: str, names: Mapping[str, str]) -> str:
    """Replace the labels in a text by the names of their methods.

    Example:
        >>> with_names("qtha(r=4) − lora(r=8): +0.1", {"qtha(r=4)": "qtha", "lora(r=8)": "lora"})
        'qtha − lora: +0.1'
    """
    if not names:
        return text
    labels = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<!\w)(?:{labels})(?![\w(])", lambda label: names[label[0]], text)


def results(compared: Compared, names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return one row of text per method of one (model, task) pair, by column name.

    A method without a finished run has a row without results, a label without a name is in full.
    """
    import pandas

    best = compared.best
    lacking = compared.frame[~compared.frame["family"].isin(best["family"])]
    runs = compared.by_method(pandas.concat([best, lacking.assign(state="no result")]))
    named = runs.assign(label=[names.get(name, name) for name in runs["family"]])
    summary = {**compared.summary, "runs": named, "tried": compared.summary["runs"]}
    claims = {claim["first"]: claim for claim in compared.claims}
    rates = {n: value_text(of.iloc[0]) for n, of in best.groupby("family")[RATE]}
    column_names = {heading: name for name, heading in HEADINGS.items()}
    return [
        {column_names.get(heading, heading): text for heading, text in row.items()}
        | {RATE: rates.get(name, NONE)}
        | _difference(claims.get(name), name == compared.families[0])
        for name, row in zip(compared.families, table.rows(summary), strict=True)
    ]


def without_ranges(cells: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the cells without the ranges of results over the seeds."""
    return {
        name: column if name == "difference" else [cell.partition(" [")[0] for cell in column]
        for name, column in cells.items()
    }


def _difference(claim: dict[str, Any] | None, is_reference: bool) -> dict[str, str]:
    """Return the difference to the first method with its interval, and the verdict."""
    if claim is None:
        return {"difference": NONE, "verdict": REFERENCE if is_reference else UNKNOWN}
    return {"difference": difference_text(claim), "verdict": claim["verdict"]}
