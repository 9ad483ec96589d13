"""Plot of evaluation loss against the bytes sent in federated training.

Draws one line per method and seed over the rounds, which are given as numbers. Bytes count trained
parameters only, so a method may be cheap here and costly in time or memory.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.panels import panels
from qtha_lab.figures.machinery.table import Table, value_text


class RoundResult(TypedDict):
    """Evaluation loss in nats and total bytes sent after a federated round."""

    round: int
    eval_loss: float
    bytes_sent: int


class ByteHistory(TypedDict):
    """Rounds of one method with one seed; round 0 is the initial state."""

    label: str
    seed: int
    rounds: Sequence[RoundResult]


def _example() -> dict:
    losses = {
        ("lora(r=8)", 30720): (6.34, 5.71, 5.44, 5.33),
        ("qpa", 5184): (6.34, 5.96, 5.78, 5.70),
    }
    return {
        "courses": [
            {
                "label": label,
                "seed": seed,
                "rounds": [
                    {
                        "round": n,
                        "eval_loss": loss + lift,
                        "bytes_sent": 8 * 4 * size * max(0, 2 * n - 1),
                    }
                    for n, loss in enumerate(course)
                ],
            }
            for (label, size), course in losses.items()
            for seed, lift in enumerate((0.0, 0.04))
        ]
    }


@figure_function(example=_example)
def loss_against_bytes(courses: Sequence[ByteHistory], theme: str = "light") -> Figure:
    """Plot the evaluation loss of the shared adapter against the bytes sent.

    Args:
        courses: One series of rounds per method and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> rounds = [{"round": n, "eval_loss": 6.0 - n, "bytes_sent": 800 * n} for n in (0, 1)]
        >>> loss_against_bytes([{"label": "lora", "seed": 0, "rounds": rounds}]).alt
        'Evaluation loss after the last round and bytes sent until then: lora 5 after
        800 bytes (seed 0).'
    """
    courses = [course for course in courses if course["rounds"]]
    ends = [
        f"{shown(c['label'])} {value_text(c['rounds'][-1]['eval_loss'])} after"
        f" {c['rounds'][-1]['bytes_sent']:,} bytes (seed {c['seed']})"
        for c in courses
    ]
    alt = (
        "Evaluation loss after the last round and bytes sent until then:"
        f" {'; '.join(ends) or 'no rounds yet'}."
    )
    caption = (
        "Evaluation loss (nats) of the averaged adapter after every round against all bytes sent"
        " until then, to the clients and from them: four for every trained number, a line per seed."
        " A low line to the left learns more from less traffic; what clients compute is not"
        " counted."
    )
    records = [
        {
            "method": c["label"],
            "seed": c["seed"],
            "round": r["round"],
            "bytes_sent": r["bytes_sent"],
            "eval_loss": r["eval_loss"],
        }
        for c in courses
        for r in c["rounds"]
    ]
    table = Table.of(records, ("method", "seed", "round", "bytes_sent", "eval_loss"))
    draw = functools.partial(
        panels,
        table.frame[table.frame["bytes_sent"] > 0],  # 0 is on no logarithmic axis
        "bytes_sent",
        "eval_loss",
        "method",
        each="seed",
        hover="%{x:,} bytes: %{y:.4g} nats",
        log="x",
    )
    title = "Evaluation loss against bytes sent"
    return Figure("loss_by_bytes", draw, caption, alt, table, theme, title)
