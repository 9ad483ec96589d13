"""Checks of lesson 12: alt text, bars, entry of a table, figure with caption."""

import functools
import re
from typing import Any

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.grading import WrongAnswer
from qtha_lab.lessons.stated_finding import directions, has_sign_of, unknown_numbers
from qtha_lab.studies.comparison.paired import PairedDifference

MOST_WORDS = 60
GIVEN = "three differences over five seeds"
SEVEN = re.compile(r"(?<![\d.])7(?![\d.]*\d)|seven", re.IGNORECASE)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def _has_length(text: str) -> bool:
    return 2 < len(_words(text)) <= MOST_WORDS


def _names_both(text: str) -> bool:
    return "qtha" in text.lower() and "lora" in text.lower()


def _has_direction(text: str) -> bool:
    return bool(directions(text))


def _has_finding(text: str) -> bool:
    return directions(text) == {_gap().mean > 0} and has_sign_of(text)


def _has_known_numbers(text: str) -> bool:
    gap = _gap()
    half = (gap.high - gap.low) / 2
    return not unknown_numbers(text, [gap.mean, gap.low, gap.high, half, gap.margin, 0.05, 0.95])


@functools.cache
def _gap() -> PairedDifference:
    from qtha_lab.lessons.recordings import recorded

    methods = "qtha(r=4,waist=16,bond_dim=3)", "lora(r=2,lora_alpha=4)"
    return recorded("confirm-qa").difference(*methods)


def _has_interval(text: str) -> bool:
    gap = _gap()
    return all(
        any(f"{abs(end):.{digits}f}" in text for digits in (2, 3)) for end in (gap.low, gap.high)
    )


def _has_seeds(text: str) -> bool:
    return bool({"20", "twenty"} & {*_words(text)})


def _avoids_significant(text: str) -> bool:
    return "significant" not in text.lower()


def _is_entry(entry) -> bool:
    value, file, key = entry
    return isinstance(value, int | float) and isinstance(file, str) and isinstance(key, str)


def _is_summary(entry) -> bool:
    return entry[1].endswith("summary.json")


def _is_test_loss(entry) -> bool:
    return entry[2] == "test_loss"


def _has_value(entry) -> bool:
    from qtha_lab.core.io import read_json
    from qtha_lab.core.paths import data_dir

    folder = min((data_dir() / "runs").glob("*-tiny-qa-qtha-s1-*"))
    return abs(entry[0] - float(read_json(folder / "summary.json")["test_loss"])) < 6e-4


def _seed_losses():
    from scipy.stats import t as student_t

    for n_seeds in (3, 8):
        random = np.random.default_rng(n_seeds)
        values = random.normal(4.3, 0.05, (3, n_seeds))
        losses = dict(zip(("LoRA", "QTHA", "no circuit"), values.tolist(), strict=True))
        mean, spread = values.mean(1), values.std(1, ddof=1) / np.sqrt(n_seeds)
        ends = student_t.interval(0.95, n_seeds - 1, mean, spread)
        yield (losses,), np.stack([mean, *ends], axis=1)


_mended_bars = grading.Function(_seed_losses, lambda losses: f"{len(losses['QTHA'])} seeds")


def example_gaps(seeds: int = 5) -> dict[str, PairedDifference]:
    """Return three paired differences by title."""
    values = {"LoRA": (-0.054, 0.03), "no circuit": (0.012, 0.02), "bias": (0.0031, 0.004)}
    return {
        title: PairedDifference(mean, mean - half, mean + half, 0.1, seeds, 112, 0.02)
        for title, (mean, half) in values.items()
    }


def _is_figure(built):
    kind = type(built(example_gaps()))
    return f"{kind.__module__.split('.')[0]}.{kind.__name__}", "qtha_lab.Figure", GIVEN


def _table(built):
    rows = [[float(v) for v in row[1:4]] for row in built(example_gaps()).table.rows]
    return rows, [[gap.mean, gap.low, gap.high] for gap in example_gaps().values()], GIVEN


def _drawn(built):
    drawn = built(example_gaps()).plotly
    values = [float(x) for trace in drawn.data for x in (trace.x or ()) if _is_number(x)]
    means = [gap.mean for gap in example_gaps().values()]
    missing = [m for m in means if not any(abs(x - m) < 1e-9 for x in values)]
    return _absent("the drawing has no point at", missing), (), GIVEN


def _absent(what: str, missing: list[Any]) -> tuple:
    """Return nothing if nothing is missing.

    Raises:
        WrongAnswer: If something is.
    """
    if missing:
        raise WrongAnswer(f"{what} {', '.join(map(str, missing))}")
    return ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or hasattr(value, "dtype")


def _alt(built):
    text = built(example_gaps(7)).alt.replace("−", "-")
    numbers = [v for gap in example_gaps().values() for v in (gap.mean, gap.low, gap.high)]
    missing = [f"{value:+.3f}" for value in numbers if f"{abs(value):.3f}" not in text]
    names = [title for title in example_gaps() if title not in text]
    seeds = [] if SEVEN.search(text) else ["number of seeds"]
    missing = names + missing + seeds
    return _absent("the alt text lacks", missing), (), "three differences over seven seeds"


def _caption(built):
    text = built(example_gaps(7)).caption
    holds = {
        "“95 %”": "95 %" in text,
        "the number of seeds": bool(SEVEN.search(text)),
        "a full stop at the end": text.endswith("."),
    }
    missing = [name for name, is_there in holds.items() if not is_there]
    return _absent("the caption lacks", missing), (), "three differences over seven seeds"
