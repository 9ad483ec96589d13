"""How QTHA's tensors start: `balanced` (ours, the default), `gradient`, `isometric` (ours) or `paper` (the authors').

None changes the model; they differ in how far the first step goes (`first_step`). Under Adam every
number that has a gradient moves by the learning rate η, here those of B alone, so the output moves
by

    η · s · rms(M_B v) · |z|     v random signs; LoRA's by η · s · |A x|, s = 2 and √(8/3) for r = 8

`balanced` makes the first factor times the second 1, whatever r, waist and bond dimension are, so
that a rate of 5e-3 takes the output as far as LoRA's goes at 3e-3 (5 · 2 · 1 ≈ 3 · 2 · √(8/3)):

    rms(M_B v) = 1                   M_B keeps mean squares: its Frobenius norm is √out_features
    |z| = 1, with rms(h) = 1         W_c's entries have standard deviation 1 / r, W_q's too
    rms(M_A x) = in_features / waist and A smaller by as much, so that A's own steps, over waist
                                     inputs, change h as LoRA's A does, over in_features of them

rms(h) = 1 also keeps the circuit's angles within ± π/2 as a rule. Derivation and choice are ours.
`isometric` is what 0.2.0 called balanced: operators of singular values near 1, whatever that does
to the step. `gradient` is balanced, and then A · M_A is fitted to the leading directions of the
layer's gradient on some training rows (`initialise_input_side`), as `qtha_gradient` has them whole.
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
    """Fill A, B, W_c and W_q, as far as they are there; B is not zero yet.

    Args:
        start: One of `STARTS`.
        tensors: Of one layer.
        widening: What M_A multiplies a root mean square by; 1 without it.
        z_rms: Root mean square of z that a balanced start is to have.
        multiplied: Whether the branches are multiplied and not added.
    """
    alone = "W_c" not in tensors or multiplied  # W_q's part is then all of z, or a factor of it
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
        cores: What to fill.
        shape: Their shape.
        rms: Root mean square of the operator's outputs for unit-variance inputs, if it is balanced.
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
    """Fit A · M_A to rows: M_A is cut from A⁺ · rows by TT-SVD, then A is fitted to what the cut has left of it.

    M_A keeps its norm and so the balance of the two. A bond wider than the cut can fill stays open:
    one side of it is zero and the other as it was, so that it trains.

    Args:
        a: A at its balanced start, in place.
        cores: Of M_A at its balanced start, in place.
        shape: Of M_A.
        rows: What A · M_A is to be.

    Source:
        TT-SVD: Oseledets 2011, algorithm 1. The fit is ours [R].
    """
    norm, target = mpo.norm(cores, shape), torch.linalg.pinv(a.double()) @ rows.double()
    cut, cut_shape = mpo.from_matrix(target, shape.out_dims, shape.in_dims, max(shape.bonds))
    for k, (core, piece) in enumerate(zip(cores, cut, strict=True)):
        (left, right), (less_left, less_right) = (s.bonds[k : k + 2] for s in (shape, cut_shape))
        whole = core.view(shape.out_dims[k], right, left, shape.in_dims[k])
        whole[:, less_right:] = 0
        whole[:, :less_right, :less_left] = piece.view(
            shape.out_dims[k], less_right, less_left, shape.in_dims[k]
        )
    factor = (norm / mpo.norm(cores, shape)) ** (1 / shape.n_sites)
    for core in cores:
        core.mul_(factor)
    dense = mpo.dense([core.double() for core in cores], shape)
    a.copy_(rows.double() @ torch.linalg.pinv(dense))


def uniform_(tensor: Tensor, std: float) -> None:
    """Fill with a uniform distribution around zero of this standard deviation."""
    tensor.uniform_(-std * math.sqrt(3), std * math.sqrt(3))
