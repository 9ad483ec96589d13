"""How QTHA's tensors start: `matched` (ours, the default), `balanced` (ours) or `paper` (the authors').

None changes the model. Under Adam the first step moves every entry that has a gradient by the learning
rate η, so the size of the *other* tensors decides how far the output goes. LoRA's B moves its layer's
output by η s Σ_j |A x|_j; with unit-variance inputs, peft's A and r = 8 that is η · 2 · √(8/3) where signs
are random. QTHA's moves its own by η s · rms(M_B v) · |z|, v of signs, and s = 2. `matched` (derivation
and choice ours):

    |z| = 1          z = W_c h, so W_c has standard deviation 1 / r (√(r · r) terms)
    rms(M_B v) = 1   M_B keeps mean squares: its Frobenius norm is √out_features
    rms(h) = 1       the circuit's angles lie within ± π/2 as a rule; W_q starts as W_c
    rms(M_A x) = in_features / waist, and A smaller by as much

With a rate of 5e-3 the output then goes as far as LoRA's at 3e-3 (2 · 5e-3 · 1 ≈ 2 · 3e-3 · √(8/3)),
whatever r, waist and bond dimension are. The last line is the same for A: a step along a gradient moves
h by η Σ |M_A x|, over waist entries instead of in_features of them.

`balanced` has the same zero B with operators of singular values near 1: its first step goes 0.01 to 3
times as far as LoRA's, by the waist. `paper` goes 15 to 37 times as far at the authors' sizes.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from qtha_lab import mpo

STARTS = ("matched", "balanced", "paper")


def start_maps(start: str, tensors: Mapping[str, Tensor], widening: float, z_rms: float) -> None:
    """Fill A, B, W_c and W_q, as far as they are there; B is not zero yet.

    Args:
        start: One of `STARTS`.
        tensors: Of one layer.
        widening: What M_A multiplies a root mean square by; 1 without it.
        z_rms: Root mean square of z that a matched start is to have.
    """
    rms = {"A": 1 / widening, "B": 1.0, "W_c": z_rms, "W_q": z_rms}
    for name in rms.keys() & tensors.keys():
        if start == "matched":
            uniform_(tensors[name], rms[name] / math.sqrt(tensors[name].shape[1]))
        else:
            torch.nn.init.kaiming_uniform_(tensors[name], a=0)


def start_operator(
    start: str, cores: list[Tensor], shape: mpo.MpoShape, rms: float
) -> None:
    """Fill the cores of M_A or M_B.

    Args:
        start: One of `STARTS`.
        cores: What to fill.
        shape: Their shape.
        rms: Root mean square of the operator's outputs for unit-variance inputs, if it is matched.
    """
    if start == "paper":
        mpo.kaiming_(cores)
        return
    mpo.balanced_(cores, shape)
    if start == "matched":
        wanted = rms * math.sqrt(shape.out_features)
        factor = (wanted / mpo.norm(cores, shape)) ** (1 / shape.n_sites)
        for core in cores:
            core.mul_(factor)


def uniform_(tensor: Tensor, std: float) -> None:
    """Fill with a uniform distribution around zero of this standard deviation."""
    tensor.uniform_(-std * math.sqrt(3), std * math.sqrt(3))
