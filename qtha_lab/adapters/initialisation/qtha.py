"""Initialisations of QTHA: `balanced` (default), `gradient`, `isometric`, `paper`.

`paper` is the authors', the others are ours. None changes the model's output; they differ in the
size of the first step (`first_step`). Adam moves every parameter with a gradient by the learning
rate η. Initially only B has a gradient, so the output moves by

    η · s · rms(M_B v) · |z|     v random signs; LoRA's by η · s · |A x|, s = 2 and √(8/3) for r = 8

`balanced` makes rms(M_B v) · |z| equal to 1, whatever r, waist and bond dimension are. So a rate of
5e-3 moves the output as far as LoRA's at 3e-3 (5 · 2 · 1 ≈ 3 · 2 · √(8/3)):

    rms(M_B v) = 1                   M_B keeps mean squares: its Frobenius norm is √out_features
    |z| = 1, with rms(h) = 1         W_c's entries have standard deviation 1 / r, W_q's too
    rms(M_A x) = in_features / waist and A smaller by as much, so that A's own steps, over waist
                                     inputs, change h as LoRA's A does, over in_features of them

rms(h) = 1 also keeps most angles of the circuit within ± π/2. Derivation and choice are ours.

`isometric` is the balanced initialisation of 0.2.0: operators of singular values near 1, without
control of the step. `gradient` is balanced with A · M_A fitted to the leading directions of the
layer's gradient on some training rows (`initialise_input_side`). `qtha_gradient` has these
directions without a fit.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.tensor_networks import mpo

STARTS = ("balanced", "gradient", "isometric", "paper")
BALANCED = ("balanced", "gradient")


def start_maps(
    start: str, tensors: Mapping[str, Tensor], widening: float, z_rms: float, multiplied: bool
) -> None:
    """Fill those of A, B, W_c and W_q that exist; B is not zero yet.

    Args:
        start: One of `STARTS`.
        tensors: Tensors of one layer.
        widening: Factor of M_A on a root mean square; 1 without M_A.
        z_rms: Target root mean square of z for a balanced initialisation.
        multiplied: Whether the branches are multiplied instead of added.
    """
    alone = "W_c" not in tensors or multiplied  # then W_q gives all of z, or a factor of z
    rms = {"A": 1 / widening, "B": 1.0, "W_c": z_rms, "W_q": 1.0 if alone else z_rms}
    for name in filter(tensors.__contains__, rms):
        if start in BALANCED:
            uniform_(tensors[name], rms[name] / math.sqrt(tensors[name].shape[1]))
        else:
            torch.nn.init.kaiming_uniform_(tensors[name], a=0)


def start_operator(start: str, cores: list[Tensor], shape: mpo.MpoShape, rms: float) -> None:
    """Fill the cores of M_A or M_B.

    Args:
        start: One of `STARTS`.
        cores: Cores to fill.
        shape: Shape of the operator.
        rms: Root mean square of outputs for unit-variance inputs, if balanced.
    """
    if start == "paper":
        mpo.kaiming_(cores)
        return
    mpo.balanced_(cores, shape)
    if start in BALANCED:
        norm = rms * math.sqrt(shape.out_features)
        factor = (norm / mpo.norm(cores, shape)) ** (1 / shape.n_sites)
        for core in cores:
            core.mul_(factor)


@torch.no_grad()
def initialise_input_side(
    a: Float[Tensor, "r waist"],
    cores: list[Tensor],
    shape: mpo.MpoShape,
    rows: Float[Tensor, "r in_features"],
) -> None:
    """Fit A · M_A to rows by TT-SVD and least squares.

    M_A is the truncated tensor train of A⁺ · rows; then A is fitted to the rows for this M_A. M_A
    keeps its norm, and so the balance with A. A bond may be wider than the truncated one can fill.
    Then one side of the surplus is zero and the other keeps its values, so that the surplus can be
    trained.

    Args:
        a: A with balanced initial values; changed in place.
        cores: Cores of M_A with balanced initial values; changed in place.
        shape: Shape of M_A.
        rows: Target of A · M_A.

    Source:
        TT-SVD: Oseledets 2011, algorithm 1. The fit is ours [R].
    """
    norm, target = mpo.norm(cores, shape), torch.linalg.pinv(a.double()) @ rows.double()
    cut, cut_shape = mpo.from_matrix(target, shape.out_dims, shape.in_dims, max(shape.bonds))
    for k, (core, part) in enumerate(zip(cores, cut, strict=True)):
        (left, right), (less_left, less_right) = (s.bonds[k : k + 2] for s in (shape, cut_shape))
        whole = core.view(shape.out_dims[k], right, left, shape.in_dims[k])
        whole[:, less_right:] = 0
        whole[:, :less_right, :less_left] = part.view(
            shape.out_dims[k], less_right, less_left, shape.in_dims[k]
        )
    factor = (norm / mpo.norm(cores, shape)) ** (1 / shape.n_sites)
    for core in cores:
        core.mul_(factor)
    dense = mpo.dense([core.double() for core in cores], shape)
    a.copy_(rows.double() @ torch.linalg.pinv(dense))


def uniform_(tensor: Tensor, std: float) -> None:
    """Fill with a zero-mean uniform distribution of the given standard deviation."""
    tensor.uniform_(-std * math.sqrt(3), std * math.sqrt(3))
