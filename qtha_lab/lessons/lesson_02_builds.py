"""Predictions and builds of lesson 2: a matrix as a chain of cores."""

import torch

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "2.a",
    "Three 4 × 4 matrices over two cores: a product, a CNOT, a swap. Which bond has the swap?",
    options=("1", "2", "4"),
    misconceptions={
        "1": "a swap is no product of two matrices, one per wire",
        "2": "two terms suffice for a CNOT; a swap mixes all four",
    },
)
prediction(
    "2.b",
    "How large is the entropy of a trained weight's middle bond, as a share of the largest one?",
    options=("near 0", "near one half", "near 1"),
    misconceptions={
        "near 0": "that would make the weight almost a product of small matrices",
        "near one half": "the structure that this cut can detect is much smaller",
    },
)
prediction(
    "2.c",
    "A change of rank 2 becomes a chain with a tenth of the parameters. How large is its error?",
    options=("near 0", "near 0.3", "above 0.7"),
    misconceptions={
        "near 0": "few large directions separate rows from columns; a bond cuts digits from digits",
        "near 0.3": "the chain of a matrix of low rank is hardly cheaper than a random one",
    },
)
prediction(
    "2.d",
    "Bond 3, two smooth matrices: exp(-|i-j|/40) and the Gaussian. Which of them is exact?",
    options=("the exponential", "the Gaussian", "both"),
    misconceptions={
        "the Gaussian": "its exponent has a mixed term of the digits",
        "both": "smoothness is not the reason: the digits of the Gaussian are coupled",
    },
)
prediction(
    "2.e",
    "Four cores, and one bond is reduced to 8. Which bond causes the largest error?",
    options=("the first", "the middle one", "the last"),
)
prediction(
    "2.f",
    "QTHA trains 26,880 parameters on q_proj and v_proj of a 7B model. How many are angles?",
    number=True,
)


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


build_task(
    "2.chain",
    "tt_svd",
    steps=(
        ("three cores of shape (left, out, in, right)", _shapes),
        ("the chain is the matrix if nothing is dropped", _exact),
        ("a truncated chain equals mpo.from_matrix", _truncated),
    ),
    tolerance=1e-9,
    solution="""
        def tt_svd(matrix, out_dims, in_dims, max_bond):
            n, left, cores = len(in_dims), 1, []
            pairs = [axis for k in range(n) for axis in (k, n + k)]
            rest = matrix.reshape(*out_dims, *in_dims).permute(pairs)
            for o, i in zip(out_dims[:-1], in_dims[:-1]):
                U, S, V = torch.linalg.svd(rest.reshape(left * o * i, -1), full_matrices=False)
                bond = min(max_bond, len(S))
                cores.append(U[:, :bond].reshape(left, o, i, bond))
                rest, left = S[:bond, None] * V[:bond], bond
            return [*cores, rest.reshape(left, out_dims[-1], in_dims[-1], 1)]
    """,
    setup="import torch",
)


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
    ours = torch.autograd.grad(built(cores, x).square().sum(), cores)
    right = torch.autograd.grad((x @ _dense(cores).T).square().sum(), cores)
    flat = [torch.cat([g.flatten() for g in gradients]) for gradients in (ours, right)]
    return (*flat, "the gradients of all cores")


APPLY = """
    def apply_chain(cores, x):
        rest = x.reshape(len(x), 1, 1, -1)  # outputs so far, bond, inputs left
        for core in cores:
            left, o, i, right = core.shape
            legs = rest.reshape(len(x), -1, left, i, rest.shape[-1] // i)
            rest = torch.einsum("bdlin,loir->bdorn", legs, core)
            rest = rest.reshape(len(x), -1, right, legs.shape[-1])
        return rest.reshape(len(x), -1)
"""
build_task(
    "2.apply",
    "apply_chain",
    steps=(
        ("one core is a matrix", _one_core),
        ("three cores equal their dense matrix", _product),
        ("the gradients of the cores are equal", _chain_gradient),
    ),
    tolerance=1e-9,
    solution=APPLY,
    setup="import torch",
)
