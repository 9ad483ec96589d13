"""The runs of a comparison as a table: numbers by method over seeds, and the same as ready-made text."""

from __future__ import annotations

import statistics
from typing import Any

MEASURES = [
    "eval_loss_whole_base",
    "eval_loss_start",
    "eval_loss",
    "train_loss",
    "perplexity",
    "token_accuracy",
    "accuracy",
]
MEASURES += ["macro_f1", "exact_match", "bleu4", "rouge1", "rouge2", "rougeL"]
MEASURES += ["seconds_per_step", "peak_memory_bytes", "adapter_bytes", "wall_seconds"]
# column title, measure, how to write one value; the rest of the measures stay in aggregate()
COLUMNS = (
    ("eval loss, whole base", "eval_loss_whole_base", "{:.3f}"),
    ("eval loss, start", "eval_loss_start", "{:.3f}"),
    ("eval loss", "eval_loss", "{:.3f}"),
    ("train loss", "train_loss", "{:.3f}"),
    ("perplexity", "perplexity", "{:.1f}"),
    ("token accuracy", "token_accuracy", "{:.3f}"),
    ("accuracy", "accuracy", "{:.3f}"),
    ("macro F1", "macro_f1", "{:.3f}"),
    ("exact match", "exact_match", "{:.3f}"),
    ("BLEU-4", "bleu4", "{:.2f}"),
    ("ROUGE-L", "rougeL", "{:.3f}"),
    ("s a step", "seconds_per_step", "{:.3g}"),
    ("peak MiB", "peak_memory_mib", "{:.0f}"),
    ("adapter KiB", "adapter_kib", "{:.0f}"),
)

LEARNT = (
    "method",
    "parameters",
    "seeds",
    "eval loss, whole base",
    "eval loss, start",
    "eval loss",
    "train loss",
)


def aggregate(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry a label, in the order of the runs: mean, min and max of each measure over the seeds.

    Runs that did not finish count under `unfinished` and in nothing else.

    Example:
        >>> runs = [{"label": "lora", "method": "lora", "seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> aggregate({"runs": runs})[0]["eval_loss"]
        {'mean': 2.5, 'min': 2.0, 'max': 3.0}
    """
    found = []
    for label in dict.fromkeys(entry["label"] for entry in summary["runs"]):
        entries = [entry for entry in summary["runs"] if entry["label"] == label]
        whole = [entry for entry in entries if entry.get("state", "finished") == "finished"]
        found.append(
            {
                "label": label,
                "method": entries[0]["method"],
                "seeds": [entry["seed"] for entry in whole],
                "unfinished": len(entries) - len(whole),
                "trainable_parameters": next(
                    (e["trainable_parameters"] for e in entries if "trainable_parameters" in e),
                    None,
                ),
                **{name: over for name in MEASURES if (over := _over(whole, name))},
            }
        )
    return found


def rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """One row of ready-made text a label; only columns in which some label has a value.

    A number is the mean over the seeds; what was learnt has the smallest and the largest in brackets.
    """
    groups = [_with_units(group) for group in aggregate(summary)]
    columns = [c for c in COLUMNS if any(c[1] in group for group in groups)]
    return [
        {
            "method": group["label"],
            "parameters": _count(group["trainable_parameters"]),
            "seeds": _seeds(group),
            **{
                title: _cell(group.get(name), form, with_spread=title in LEARNT)
                for title, name, form in columns
            },
        }
        for group in groups
    ]


def tables(summary: dict[str, Any]) -> list[list[tuple[str, ...]]]:
    """The same for a terminal, a line a label: first what was learnt, then scores and cost.

    Each table begins with its titles, and the label is the first column of both.
    """
    made = rows(summary)
    if not made:
        return []
    titles = list(made[0])
    first = [title for title in titles if title in LEARNT]
    rest = ["method", *(title for title in titles if title not in LEARNT)]
    return [[tuple(part), *(tuple(row[t] for t in part) for row in made)] for part in (first, rest)]


def _over(entries: list[dict[str, Any]], name: str) -> dict[str, float] | None:
    values = [entry[name] for entry in entries if entry.get(name) is not None]
    if not values:
        return None
    return {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}


def _with_units(group: dict[str, Any]) -> dict[str, Any]:
    scaled = dict(group)
    for name, source, unit in (
        ("peak_memory_mib", "peak_memory_bytes", 2**20),
        ("adapter_kib", "adapter_bytes", 2**10),
    ):
        if source in group:
            scaled[name] = {key: value / unit for key, value in group[source].items()}
    return scaled


def _cell(over: dict[str, float] | None, form: str, with_spread: bool) -> str:
    """The mean, with the smallest and largest in brackets where asked and where they read differently."""
    if over is None:
        return "–"
    mean, low, high = (form.format(over[key]) for key in ("mean", "min", "max"))
    return f"{mean} [{low}–{high}]" if with_spread and low != high else mean


def _count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _seeds(group: dict[str, Any]) -> str:
    lost = f" ({group['unfinished']} not finished)" if group["unfinished"] else ""
    return f"{len(group['seeds'])}{lost}"
