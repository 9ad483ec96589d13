"""Exercise of lesson 2: the loss of the toy after a weight was cut."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise

if TYPE_CHECKING:
    from torch import nn

SIZE, CORES, ROWS, BLOCKS = 192, 3, 16, 6


@functools.cache
def _toy():
    """Return the toy and a batch of evaluation rows."""
    from qtha_lab import load_model, load_task
    from qtha_lab.tasks import collate

    toy = load_model("tiny")
    task = load_task("qa", seed=0, train_rows=1, eval_rows=ROWS)
    rows = task.encode(task.eval, toy.tokenizer, max_length=128)
    return toy.model, collate(toy.tokenizer)(rows)


def _cut(weight, bond: int):
    from qtha_lab.tensor_networks import mpo
    from qtha_lab.tensor_networks.factors import factorise

    dims = factorise(SIZE, CORES)
    return mpo.dense(*mpo.from_matrix(weight, dims, dims, max_bond=bond))


@functools.cache
def toy_loss(bond: int, blocks: tuple[int, ...]) -> float:
    """Return the toy's loss in nats with q_proj of some blocks cut.

    Args:
        bond: Largest bond of the cut weight.
        blocks: Blocks whose weight is cut.

    Example:
        >>> toy_loss(64, (1,)) < toy_loss(2, (1,))
        True
    """
    import torch

    model, batch = _toy()
    layers = [_query(model, block) for block in blocks]
    whole = [layer.weight.detach().clone() for layer in layers]
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(_cut(layer.weight, bond))
        loss = model(**batch).loss.item()
        for layer, weight in zip(layers, whole, strict=True):
            layer.weight.copy_(weight)
    return loss


def cut_error(bond: int, block: int) -> float:
    """Return the relative error of the cut q_proj of a block.

    Args:
        bond: Largest bond of the cut weight.
        block: Block of the weight.
    """
    weight = _query(_toy()[0], block).weight.detach()
    return float((weight - _cut(weight, bond)).norm() / weight.norm())


def _query(model: nn.Module, block: int) -> nn.Linear:
    return cast("nn.Linear", model.get_submodule(f"model.layers.{block}.self_attn.q_proj"))


def _wrong(value: str) -> str:
    """Return code that ends with a wrong loss, after the measured losses."""
    source = "from qtha_lab.lessons.lesson_02_harm import cut_error, toy_loss\n"
    return f"{source}cut_loss = {value}"


exercise(
    "2.5",
    "A cut weight in the toy",
    difficulty=2,
    minutes=10,
    kind="X",
    answer="cut_loss",
    ranges={"b": (8, 4, 2)},
    phrases=("bond {b}.",),
    hints=(
        "Section 4 does it with another weight: cut it, put it back, and measure.",
        "`get_submodule('model.layers.1.self_attn').q_proj` is the layer; copy into its weight.",
        "mpo.dense(*mpo.from_matrix(weight, dims, dims, max_bond={b})) is the cut weight.",
    ),
    solution="""
        toy = load_model("tiny")
        toy_task = load_task("qa", seed=0, train_rows=1, eval_rows=16)
        toy_rows = toy_task.encode(toy_task.eval, toy.tokenizer, max_length=128)
        q_proj = toy.model.get_submodule("model.layers.1.self_attn").q_proj
        digits = factorise(192, 3)
        with torch.no_grad():
            chain_of_q = mpo.from_matrix(q_proj.weight, digits, digits, max_bond={b})
            q_proj.weight.copy_(mpo.dense(*chain_of_q))
            cut_loss = toy.model(**collate(toy.tokenizer)(toy_rows)).loss.item()
    """,
    mistakes=(
        (
            _wrong("toy_loss(192, (1,)) * (1 + cut_error({b}, 1))"),
            "a relative error of a weight is no relative error of the loss",
        ),
        (
            _wrong("toy_loss(192, (1,)) + cut_error({b}, 1)"),
            "the error of a weight has no unit, so it cannot be added to a loss in nats",
        ),
        (_wrong("cut_error({b}, 1)"), "that is the error of the weight; the loss was asked for"),
        (_wrong("toy_loss({b}, tuple(range(6)))"), "all blocks are cut; one was asked for"),
        (
            _wrong("toy_loss({b}, (0,))"),
            "the loss did change: was block 0 cut, or nothing? Block 1 was asked for",
        ),
    ),
    setup="""
import torch

from qtha_lab import load_model, load_task
from qtha_lab.tasks import collate
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise
    """.strip(),
    grader=grading.Number(4.4098, rtol=0.02),
    remark="The same cut in block 0 changes nothing. Only a measurement tells the two apart.",
)
