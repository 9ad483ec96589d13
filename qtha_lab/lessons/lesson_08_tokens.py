"""Exercise of lesson 8: tokens until the bounds of a non-linear share meet."""

from typing import TYPE_CHECKING

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise

if TYPE_CHECKING:
    from torch import Tensor

    from qtha_lab.analysis.updates.update import Delta

SIZE, TOKENS = 24, 800


def example_update() -> tuple["Delta", "Tensor"]:
    """Return a random QTHA update of 24 inputs, and 800 tokens.

    Example:
        >>> update, x = example_update()
        >>> update(x).shape
        torch.Size([800, 24])
    """
    import torch

    from qtha_lab import QthaConfig
    from qtha_lab.adapters.change import Layer

    config = QthaConfig(r=4, waist=8, bond_dim=2, n_sites=3, init_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        change = config.change(Layer(SIZE, SIZE))
        tensors = change.start(torch.float64)
        torch.manual_seed(0)
        x = torch.randn(TOKENS, SIZE, dtype=torch.float64)
    return lambda rows: change.delta(tensors, rows), x


exercise(
    "8.7",
    "Tokens until the bounds meet",
    difficulty=2,
    minutes=8,
    kind="X",
    answer="enough_tokens",
    hints=(
        "share_curve(update, x, range(100, 801, 100)) returns one fit per number of tokens.",
        "`share` is the upper bound of a fit, `in_sample_share` the lower one.",
        "Take the first fit with share - in_sample_share below share / 10.",
    ),
    solution="""
        small_update, small_x = example_update()
        small_curve = share_curve(small_update, small_x, range(100, 801, 100))
        enough_tokens = next(
            f.tokens for f in small_curve if f.share - f.in_sample_share < f.share / 10
        )
    """,
    mistakes=(
        (
            "enough_tokens = 25",
            "with one token per unknown of the fit it is perfect, and the lower bound is zero",
        ),
        (
            "enough_tokens = 100",
            "there the floor is zero: an affine update is fitted exactly, but this one is not",
        ),
        (
            "enough_tokens = 300",
            "the upper bound falls little from there, but the lower one still rises",
        ),
        (
            "enough_tokens = 50",
            "there the upper bound is several times the lower one",
        ),
    ),
    setup="""
from qtha_lab.analysis import share_curve
from qtha_lab.lessons.lesson_08_tokens import example_update
    """.strip(),
    grader=grading.Number(600, rtol=0.2),
    remark="About twenty tokens per input: the gap is twice the inputs over the tokens.",
)
