"""Plot of perplexity against bits per weight, one line per quantisation scheme.

Each seed is a dot, and the unquantised model a horizontal line. Takes numbers, such as those of
`qtha_lab.reproductions.machinery.listing.rounded_of`.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.panels import draw_by_size, ends_by_size
from qtha_lab.figures.machinery.table import Table


class QuantisedRun(TypedDict):
    """Perplexity of a model with one seed; `bits` is None without quantisation."""

    label: str
    bits: int | None
    seed: int
    perplexity: float


def _example() -> dict:
    means = {
        ("rounded", 2): 310.0,
        ("rounded", 3): 92.0,
        ("rounded", 4): 72.0,
        ("learned", 2): 150.0,
        ("learned", 3): 79.0,
        ("learned", 4): 68.0,
        ("whole", None): 64.0,
    }
    return {
        "runs": [
            {"label": label, "bits": bits, "seed": seed, "perplexity": mean * lift}
            for (label, bits), mean in means.items()
            for seed, lift in enumerate((0.97, 1.0, 1.04))
        ]
    }


@figure_function(example=_example)
def perplexity_by_bits(runs: Sequence[QuantisedRun], theme: str = "light") -> Figure:
    """Plot perplexity against the number of bits.

    Args:
        runs: One per quantisation scheme, number of bits and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> run = {"label": "round", "bits": 4, "seed": 0, "perplexity": 70.0}
        >>> perplexity_by_bits([run]).alt
        'Perplexity at the most bits, mean over seeds: round 70 at 4.'
    """
    table = Table.of([dict(each) for each in runs], ("label", "bits", "seed", "perplexity"))
    ends = ends_by_size(table.frame, "bits", "perplexity")
    alt = f"Perplexity at the most bits, mean over seeds: {ends}."
    caption = (
        "Perplexity against the bits of a weight: means over seeds as lines, a dot for every seed;"
        " a base that is not rounded is a line across. Does not show the bits of scales, of"
        " outliers and of inputs."
    )
    drawn = functools.partial(draw_by_size, table.frame, "bits", "perplexity", log="y")
    title = "Perplexity at few bits"
    return Figure("perplexity_by_bits", drawn, caption, alt, table, theme, title)
