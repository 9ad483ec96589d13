"""Checks of lesson 12: alt text, entry of a table, figure with caption."""

import re
from typing import Any

from qtha_lab.studies.comparison.paired import PairedDifference

MOST_WORDS = 60
DIRECTIONS = "higher lower above below more less larger smaller better worse exceeds"
GIVEN = "three differences over five seeds"
SEVEN = re.compile(r"(?<![\d.])7(?![\d.]*\d)|seven", re.IGNORECASE)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def _has_length(text: str) -> bool:
    return 2 < len(_words(text)) <= MOST_WORDS


def _names_both(text: str) -> bool:
    return "qtha" in text.lower() and "lora" in text.lower()


def _has_direction(text: str) -> bool:
    return bool({*DIRECTIONS.split()} & {*_words(text)})


def _has_interval(text: str) -> bool:
    from qtha_lab.lessons.recordings import recorded

    methods = "qtha(r=4,waist=16,bond_dim=3)", "lora(r=2,lora_alpha=4)"
    gap = recorded("confirm-qa").difference(*methods)
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


def _example_gaps(seeds: int = 5) -> dict[str, PairedDifference]:
    """Return three paired differences by title."""
    values = {"LoRA": (-0.054, 0.03), "no circuit": (0.012, 0.02), "bias": (0.0031, 0.004)}
    return {
        title: PairedDifference(mean, mean - half, mean + half, 0.1, seeds, 112, 0.02)
        for title, (mean, half) in values.items()
    }


def _is_figure(built):
    from qtha_lab.figures import Figure

    return isinstance(built(_example_gaps()), Figure), True, GIVEN


def _table(built):
    rows = [[float(v) for v in row[1:4]] for row in built(_example_gaps()).table.rows]
    return rows, [[gap.mean, gap.low, gap.high] for gap in _example_gaps().values()], GIVEN


def _drawn(built):
    drawn = built(_example_gaps()).plotly
    values = [float(x) for trace in drawn.data for x in (trace.x or ()) if _is_number(x)]
    means = [gap.mean for gap in _example_gaps().values()]
    return all(any(abs(x - mean) < 1e-9 for x in values) for mean in means), True, GIVEN


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or hasattr(value, "dtype")


def _alt(built):
    text = built(_example_gaps(7)).alt.replace("−", "-")
    numbers = [v for gap in _example_gaps().values() for v in (gap.mean, gap.low, gap.high)]
    missing = [f"{value:+.3f}" for value in numbers if f"{abs(value):.3f}" not in text]
    names = [title for title in _example_gaps() if title not in text]
    seeds = [] if SEVEN.search(text) else ["number of seeds"]
    return missing + names + seeds == [], True, "three differences over seven seeds"


def _caption(built):
    text = built(_example_gaps(7)).caption
    holds = "95 %" in text, bool(SEVEN.search(text)), text.endswith(".")
    return tuple(holds), (True, True, True), "“95 %”, the number of seeds, and a full stop"
