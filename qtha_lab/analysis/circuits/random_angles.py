"""Circuits at random angles: sampling of angles, and batched final states.

Engines share trainable angles over a batch. Here every trainable angle becomes an input first, so
that each sample has its own. Other modules analyse the states.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import state

Inputs = str | Sequence[float] | Tensor  # "zeros", "uniform", or one sample


@dataclasses.dataclass(frozen=True, eq=False)
class RandomAngles:
    """Sampled angles in radians: `inputs` (samples, n_inputs), `params` (samples, n_params)."""

    inputs: Float[Tensor, "samples n_inputs"]
    params: Float[Tensor, "samples n_params"]

    def __len__(self) -> int:
        return len(self.params)


def draw_angles(
    circuit: Circuit, n_samples: int, inputs: Inputs = "zeros", seed: int = 0
) -> RandomAngles:
    """Draw trainable angles uniformly in ±π, and inputs as requested.

    Args:
        circuit: Circuit of the angles.
        n_samples: Number of draws.
        inputs: "zeros": every input is 0 (and the initial state |0…0⟩ where amplitudes are the
            data); "uniform": each input uniform in ±π (amplitudes: a uniformly random real unit
            vector), different for every sample; or one sample, (n_inputs,), for all.
        seed: Seed of the draw; the same seed draws the same angles.

    Raises:
        Refusal: If the inputs do not fit the circuit, or there are no samples.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> drawn = draw_angles(build("qtha", 3, 1), 5)
        >>> drawn.inputs.shape, drawn.params.shape, bool(drawn.params.abs().max() <= math.pi)
        (torch.Size([5, 3]), torch.Size([5, 12]), True)
    """
    check_samples(n_samples)
    random = torch.Generator().manual_seed(seed)
    params = _uniform((n_samples, circuit.n_params), random)
    return RandomAngles(_draw_inputs(circuit, n_samples, inputs, random), params)


def check_samples(n_samples: int, least: int = 1) -> None:
    """Refuse a number of samples below `least`."""
    if not isinstance(n_samples, int) or isinstance(n_samples, bool) or n_samples < least:
        raise Refusal(f"n_samples must be at least {least}, got {n_samples!r}.")


def _uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=random, dtype=torch.float64) - 1) * math.pi


def _draw_inputs(
    circuit: Circuit, n_samples: int, inputs: Inputs, random: torch.Generator
) -> Tensor:
    shape = (n_samples, circuit.n_inputs)
    amplitudes = circuit.start == "amplitudes"
    if isinstance(inputs, str):
        if inputs not in ("zeros", "uniform"):
            raise Refusal(f"inputs must be 'zeros', 'uniform' or one sample, got {inputs!r}.")
        if inputs == "zeros":
            normal = torch.zeros(shape, dtype=torch.float64)
            if amplitudes:
                normal[:, 0] = 1.0
            return normal
        if not amplitudes:
            return _uniform(shape, random)
        normal = torch.randn(shape, generator=random, dtype=torch.float64)
        return normal / normal.norm(dim=-1, keepdim=True)
    sample = torch.as_tensor(inputs, dtype=torch.float64)
    if sample.shape != shape[1:]:
        raise Refusal(
            f"inputs must be one sample of the circuit's {circuit.n_inputs} inputs, got shape "
            f"{tuple(sample.shape)}."
        )
    return sample.expand(shape)


@functools.lru_cache(maxsize=64)
def free_angles(circuit: Circuit) -> Circuit:
    """Return the circuit with parameter k as input n_inputs + k.

    Each sample then has its own parameters.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> free = free_angles(build("qtha", 3, 1))
        >>> free.n_inputs, free.n_params
        (15, 0)
    """

    def freed(angle: Angle) -> Angle:
        if angle.source != "param":
            return angle
        return dataclasses.replace(angle, source="input", index=circuit.n_inputs + angle.index)

    gates = [dataclasses.replace(g, angles=tuple(map(freed, g.angles))) for g in circuit.gates]
    return Circuit(circuit.n_qubits, gates)


def states_at(circuit: Circuit, angles: RandomAngles) -> Complex[Tensor, "samples amplitudes"]:
    """Compute the final state of every sample, up to a global phase.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> circuit = build("qtha", 3, 1)
        >>> states_at(circuit, draw_angles(circuit, 5)).shape
        torch.Size([5, 8])
    """
    if circuit.start == "amplitudes":  # its gates may not read inputs
        return torch.func.vmap(lambda x, p: state(circuit, x, p))(angles.inputs, angles.params)
    free = free_angles(circuit)
    together = torch.cat([angles.inputs, angles.params], -1)[:, : free.n_inputs]
    return state(free, together, together.new_zeros(0))
