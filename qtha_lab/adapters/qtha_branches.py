"""Non-linear branches of QTHA's bottleneck: the circuit, or a classical control.

A branch maps h (…, r) to q (…, size). `qtha` holds the rest of the method.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import CachedDelta, TensorSpec
from qtha_lab.adapters.initialisation import angles
from qtha_lab.circuits import Readout, z_pairs
from qtha_lab.simulators.circuit_between_matrices import added_by, fuse_matrices
from qtha_lab.simulators.dispatch import What
from qtha_lab.simulators.expval import run_readout

READOUTS = ("z", "z+zz", "probs")


class Branch(ABC):
    """Non-linear map of the bottleneck with its own tensors.

    `size` is the number of outputs.

    Attributes:
        mixed: Whether W_q multiplies the outputs.
    """

    mixed: bool = True

    def __init__(self, config: Any):
        self.config = config
        self.size = config.r

    def tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the branch's tensors."""
        return {}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027  most have none
        """Fill the branch's tensors in place."""

    @abstractmethod
    def apply(
        self, tensors: Mapping[str, Tensor], h: Float[Tensor, "*batch r"]
    ) -> Float[Tensor, "*batch size"]:
        """Compute q from h."""

    def cached_delta(
        self,
        first: Float[Tensor, "in_features r"],
        tensors: Mapping[str, Tensor],
        last: Float[Tensor, "rows out_features"],
    ) -> CachedDelta:
        """Return a function of x that adds (q, h) · last without gradients.

        Args:
            first: Matrix in h = x · first.
            tensors: Tensors of one layer; must stay unchanged.
            last: `size` rows for q alone, or r more for h.
        """
        return added_by(first, functools.partial(self.apply, tensors), self.size, last)


class CircuitBranch(Branch):
    """Expectations or probabilities of a circuit with inputs h.

    The setting `angles` determines the initial angles. Readout "z" is the published one. "z+zz" and
    "probs" are ours: q has r(r + 1)/2 or 2^r entries. So the change is not limited to r dimensions.
    Probabilities enter as 2^r p - 1, which is of order 1 and zero for the uniform distribution.
    """

    def __init__(self, config: Any):
        super().__init__(config)
        (self.circuit,) = config.circuits()
        self.size = len(self.readout_of(config).strings) or 2**config.r

    @staticmethod
    def readout_of(config: Any) -> Readout:
        """Return the read-out that the engine computes for a config."""
        if config.readout == "probs":
            return Readout.probs()
        pairs = [(i, j) for i in range(config.r) for j in range(i + 1, config.r)]
        singles = Readout.z(config.r).strings
        return Readout("strings", (*singles, *pairs) if config.readout == "z+zz" else singles)

    def tensors(self) -> dict[str, TensorSpec]:
        return {"params": TensorSpec((self.circuit.n_params,), self.config.train_circuit)}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        angles.draw_angles(tensors["params"], self.config.angles, [self.circuit])

    def apply(self, tensors, h):
        config = self.config
        angles = h if config.input_scale == 1 else h * config.input_scale
        q = run_readout(self.circuit, self._what, angles, tensors["params"], config.engine)
        return 2**config.r * q - 1 if config.readout == "probs" else q

    def cached_delta(self, first, tensors, last):
        config = self.config
        if config.readout == "probs":
            return super().cached_delta(first, tensors, last)
        return fuse_matrices(
            first,
            self.circuit,
            self._what,
            tensors["params"],
            last,
            config.input_scale,
            config.engine,
        )

    @property
    def _what(self) -> What:
        readout = self.config.readout
        return z_pairs(self.config.r) if readout == "z+zz" else readout


class SiluStack(Branch):
    """Control of `stand_in_layers` linear maps r → r with SiLU between them.

    These are the authors' BD, BE and BF. The stack replaces both W_q and the circuit. Its last
    layer is initialised to zero, as in the authors' code, if the linear branch is on and trains the
    rest.
    """

    mixed = False

    def tensors(self) -> dict[str, TensorSpec]:
        r = self.config.r
        return {f"S_{k}": TensorSpec((r, r)) for k in range(self.config.stand_in_layers)}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        layers = [tensors[name] for name in self.tensors()]
        for layer in layers:
            torch.nn.init.kaiming_uniform_(layer, a=0)
        if self.config.init_weights and self.config.use_linear:
            layers[-1].zero_()

    def apply(self, tensors, h):
        for k in range(self.config.stand_in_layers):
            h = torch.nn.functional.silu(h) if k else h
            h = torch.nn.functional.linear(h, tensors[f"S_{k}"])
        return h


class Cosines(Branch):
    """Control without entanglement: one Fourier sum per input.

    q_i = Σ_k (a_ik cos(k h_i) + b_ik sin(k h_i)) / k, k = 1 … 2L, with as many numbers as QTHA's
    angles [R]. A circuit with L encoding layers is a Fourier sum with frequencies up to L in each
    input. The factor 1/k keeps the gradients in h of equal order at every frequency. Initial
    amplitudes give q a standard deviation of about 1/√2, close to that of ⟨Z⟩.
    """

    def tensors(self) -> dict[str, TensorSpec]:
        return {"fourier": TensorSpec((self.config.r, self._frequencies, 2))}

    @property
    def _frequencies(self) -> int:
        return 2 * (self.config.n_layers or self.config.r)

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        tensors["fourier"].normal_(std=0.5)

    def apply(self, tensors, h):
        numbers = torch.arange(1, self._frequencies + 1, dtype=h.dtype, device=h.device)
        angles = (h * self.config.input_scale).unsqueeze(-1) * numbers
        a, b = (tensors["fourier"] / numbers.unsqueeze(-1)).unbind(-1)
        return (angles.cos() * a + angles.sin() * b).sum(-1)


class HilbertPhase(Branch):
    """Control without parameters: the phase cosine of a Hilbert transform.

    q_i = h_i / |h + i·H(h)|_i, where the Hilbert transform H gives the phase. Like ⟨Z⟩, q is in
    [-1, 1].

    Source:
        After H-LoRA, arXiv:2603.02281, whose abstract states that it "applies the Hilbert transform
        within the LoRA adapter" to keep "phase structure" and norm constraints; the formula is our
        reconstruction [R].
    """

    def apply(self, tensors, h):
        r = h.shape[-1]
        # an analytic signal keeps frequency 0 (and the middle one) and doubles the positive ones
        weights = torch.zeros(r, dtype=h.dtype, device=h.device)
        weights[0] = 1
        weights[1 : (r + 1) // 2] = 2
        if r % 2 == 0:
            weights[r // 2] = 1
        imaginary = torch.fft.ifft(torch.fft.fft(h) * weights).imag
        size = (h.square() + imaginary.square() + torch.finfo(h.dtype).tiny).sqrt()
        return h / size


class Bias(Branch):
    """Control of r trained constants: q_i = b_i for every h.

    ⟨Z⟩ has this form if it hardly depends on h. The initial b is zero, or one if it multiplies the
    linear branch or is the only branch. The control is ours.
    """

    mixed = False

    def tensors(self) -> dict[str, TensorSpec]:
        return {"b": TensorSpec((self.config.r,))}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        alone = self.config.fusion == "hadamard" or not self.config.use_linear
        tensors["b"].fill_(1.0 if alone else 0.0)
        if not self.config.init_weights:
            tensors["b"].uniform_(-1, 1)

    def apply(self, tensors, h):
        return tensors["b"].expand(*h.shape[:-1], -1)


STAND_INS = {
    "none": CircuitBranch,
    "bias": Bias,
    "silu": SiluStack,
    "cosine": Cosines,
    "hilbert": HilbertPhase,
}


def branch_of(config: Any) -> Branch:
    """Return the non-linear branch that a QTHA config describes."""
    return STAND_INS[config.stand_in](config)
