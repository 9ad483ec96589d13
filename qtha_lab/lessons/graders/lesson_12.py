"""Checks of lesson 12: alt text, mended chart, entry of a table, figure with caption."""

import base64
import functools
import re
from typing import Any

import numpy as np

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


LOSSES = {
    "LoRA": [4.31, 4.35, 4.27, 4.36, 4.30],
    "QTHA": [4.33, 4.29, 4.41, 4.35, 4.38],
    "no circuit": [4.30, 4.39, 4.37, 4.28, 4.40],
}


def _charted(answer: Any) -> tuple[dict[str, dict[str, Any]], Any, str]:
    """Return value and bar of each marker of a chart by its name, the chart and its caption."""
    figure, caption = answer({name: list(values) for name, values in LOSSES.items()})
    markers: dict[str, dict[str, Any]] = {}
    for trace in figure.data:
        bars, values = trace.error_y, _plain(trace.y)
        above, below = _plain(bars.array), _plain(bars.arrayminus)
        for place, name in enumerate(trace.x):
            sides = (above if below is None else below, above)
            ends = [0.0 if side is None else float(side[place]) for side in sides]
            markers[str(name)] = {"value": float(values[place]), "bar": ends}
    return markers, figure, str(caption)


def _plain(values: Any) -> Any:
    """Return values of a plotly figure; those of a copied figure are encoded."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return values


def _is_chart(answer: Any) -> bool:
    _, figure, caption = _charted(answer)
    return hasattr(figure, "layout") and len(caption) > 0


def _keeps_control(answer: Any) -> bool:
    return _charted(answer)[0].keys() == LOSSES.keys()


def _has_means(answer: Any) -> bool:
    markers = _charted(answer)[0]
    return all(abs(markers[n]["value"] - np.mean(v)) < 1e-6 for n, v in LOSSES.items())


def _has_readable_axis(answer: Any) -> bool:
    axis = _charted(answer)[1].layout.yaxis
    return axis.type != "log" and axis.nticks not in (1, 2)


def _has_intervals(answer: Any) -> bool:
    markers, _, caption = _charted(answer)
    if "range" in caption or "smallest" in caption:
        ends = {n: (np.mean(v) - min(v), max(v) - np.mean(v)) for n, v in LOSSES.items()}
    else:
        ends = {n: 2 * (_half_width(v),) for n, v in LOSSES.items()}
    return all(np.allclose(markers[n]["bar"], ends[n], rtol=1e-3) for n in LOSSES)


def _half_width(values: list[float]) -> float:
    """Return half the width of the 95 % interval of a mean."""
    from scipy.stats import t as student_t

    spread = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(student_t.ppf(0.975, len(values) - 1) * spread)


def _names_seeds(answer: Any) -> bool:
    caption = _charted(answer)[2].lower()
    has_seeds = bool({"5", "five"} & {*_words(caption)})
    return has_seeds and any(word in caption for word in ("95", "range", "smallest"))


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
