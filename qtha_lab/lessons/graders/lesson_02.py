"""Checks of lesson 2: bonds, sizes, a cut weight, and chains of cores."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from qtha_lab.lessons import grading
from qtha_lab.lessons.graders.shared import flat_gradient

if TYPE_CHECKING:
    from torch import nn

SIZE, CORES, ROWS = 192, 3, 16


def _matrix(answer: Any, at: int | None) -> torch.Tensor:
    return torch.as_tensor(answer if at is None else answer[at], dtype=torch.complex128)


def _is_square(matrix, size: int) -> bool:
    return tuple(_matrix(matrix, None).shape) == (size, size)


def _are_square(pair, size: int) -> bool:
    return len(pair) == 2 and all(_is_square(matrix, size) for matrix in pair)


def _has_rank(answer, rank: int, at: int | None = None) -> bool:
    return int(torch.linalg.matrix_rank(_matrix(answer, at), rtol=1e-6)) == rank


def _has_bond(answer, bond: int, dims: Sequence[int] = (2, 2), at: int | None = None) -> bool:
    """Compare the bond over two cores: the rank after regrouping the digits."""
    legs = _matrix(answer, at).reshape(*dims, *dims)
    regrouped = legs.permute(0, 2, 1, 3).reshape(dims[0] ** 2, -1)
    return _has_rank(regrouped, bond)


def _has_no_bond(answer, bond: int) -> bool:
    return not _has_bond(answer, bond)


def _qtha_size(d: int, r: int, bond: int) -> int:
    """Return the parameters of QTHA on a square layer, waist 256, one circuit layer."""
    from qtha_lab.tensor_networks.factors import factorise
    from qtha_lab.tensor_networks.mpo import MpoShape

    down = MpoShape.uniform(factorise(d, 4), factorise(256, 4), bond).n_parameters
    up = MpoShape.uniform(factorise(256, 4), factorise(d, 4), bond).n_parameters
    return down + up + 512 * r + 2 * r**2 + 4 * r


def _widths():
    for r, bond in ((4, 8), (8, 8), (16, 4), (2, 5), (2, 6), (24, 6), (32, 6)):
        widths = range(64, 99_999, 64)
        yield (r, bond), next(d for d in widths if _qtha_size(d, r, bond) < 2 * r * d)


_smallest_width = grading.Function(_widths)


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


def _matrix_and_cores(built, max_bond: int):
    torch.manual_seed(0)
    matrix = torch.randn(12, 30, dtype=torch.float64)
    return matrix, built(matrix, (2, 2, 3), (5, 3, 2), max_bond)


def _dense(cores) -> torch.Tensor:
    result = torch.ones(1, 1, 1, dtype=torch.float64)  # (rows, columns, bond)
    for core in cores:
        joined = torch.einsum("rcl,loin->rocin", result, core)
        result = joined.reshape(
            result.shape[0] * core.shape[1], result.shape[1] * core.shape[2], core.shape[3]
        )
    return result[:, :, 0]


def _shapes(built):
    _, cores = _matrix_and_cores(built, 4)
    right = [(1, 2, 5, 4), (4, 2, 3, 4), (4, 3, 2, 1)]
    return [tuple(core.shape) for core in cores], right, "a 12 × 30 matrix, at most bond 4"


def _exact(built):
    matrix, cores = _matrix_and_cores(built, 99)
    return _dense(cores), matrix, "a 12 × 30 matrix, all singular values kept"


def _truncated(built):
    from qtha_lab.tensor_networks import mpo

    matrix, cores = _matrix_and_cores(built, 3)
    right = mpo.dense(*mpo.from_matrix(matrix, (2, 2, 3), (5, 3, 2), max_bond=3))
    return _dense(cores), right, "a 12 × 30 matrix, at most bond 3"


def _random_chain():
    torch.manual_seed(0)
    shapes = ((1, 2, 5, 4), (4, 2, 3, 3), (3, 3, 2, 1))
    cores = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    return cores, torch.randn(7, 30, dtype=torch.float64)


def _one_core(built):
    _, x = _random_chain()
    core = torch.randn(1, 4, 30, 1, dtype=torch.float64)
    return built([core], x), x @ core[0, :, :, 0].T, "one core, seven rows of 30 numbers"


def _product(built):
    cores, x = _random_chain()
    return built(cores, x), x @ _dense(cores).T, "three cores, seven rows of 30 numbers"


def _chain_gradient(built):
    cores, x = _random_chain()
    for core in cores:
        core.requires_grad_()
    results = built(cores, x), x @ _dense(cores).T
    ours, right = (flat_gradient(result.square().sum(), cores) for result in results)
    return ours, right, "the gradients of all cores"
