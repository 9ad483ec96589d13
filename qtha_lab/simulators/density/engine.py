"""Noise options of engine `density`: probabilities of gate and read-out errors."""

import dataclasses
import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Readout
from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import check_settings, setting, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments
from qtha_lab.simulators.density import paulis


@with_arguments
@dataclasses.dataclass(frozen=True)
class Noise:
    """Error probabilities of engine `density`, with the same names as in `device:NAME`.

    Example:
        >>> noise_of("density:noise(depolarizing_2q=0.1)").depolarizing_2q
        0.1
    """

    depolarizing_1q: float = setting(
        0.0, "Chance that a one-qubit gate leaves its qubit fully mixed.", ge=0.0, le=1.0
    )
    depolarizing_2q: float = setting(
        0.0, "Chance that a two-qubit gate leaves its qubits fully mixed.", ge=0.0, le=1.0
    )
    readout_0to1: float = setting(0.0, "Chance that a 0 is read as 1.", ge=0.0, le=1.0)
    readout_1to0: float = setting(0.0, "Chance that a 1 is read as 0.", ge=0.0, le=1.0)

    def __post_init__(self):
        check_settings(self)


@functools.lru_cache(maxsize=64)
def noise_of(engine: str) -> Noise:
    """Parse the noise from an engine's name.

    Raises:
        Refusal: If the name is neither `density:none` nor `density:noise(…)`, or an option is
            unknown or out of range.

    Example:
        >>> noise_of("density:noise(depolarizing_2q=2)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: depolarizing_2q must be at most 1.0, got 2.
    """
    name, options = call_syntax.parse_call(engine.partition(":")[2] or " ", "noise")
    known = list(settings_of(Noise))
    if name not in ("none", "noise") or (name == "none" and options):
        raise Refusal(
            f"Engine 'density' must have the form density:none or density:noise({known[0]}=…), "
            f"got {engine!r}."
        )
    for option in options:
        if option not in known:
            raise unknown("option of density:noise", option, known)
    return Noise(**options)


MAX_QUBITS = 5


@dataclass(frozen=True, eq=False)
class _Op:
    """Operation on Pauli expectations: scaling, signed permutation, or rotation.

    Scaling gives sign · r, a permutation sign · r[partner].
    """

    angle: Angle | None
    partner: Tensor | None
    sign: Tensor

    def apply(self, state: Tensor, inputs: Tensor, params: Tensor) -> Tensor:
        sign = self.sign.to(state)
        if self.partner is None:
            return sign * state
        moved = sign * state[:, self.partner.to(state.device)]
        if self.angle is None:
            return moved
        value = self.angle.value(inputs, params)  # per sample, or shared
        angle = torch.as_tensor(value, dtype=state.dtype, device=state.device).reshape(-1, 1)
        rotated = angle.cos() * state + angle.sin() * moved
        return torch.where(sign == 0, state, rotated)


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse an unsupported circuit or read-out (see `registry.Engine.check`)."""
    noise_of(name)
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(
            f"n_qubits must be at most {MAX_QUBITS} for engine 'density', got {circuit.n_qubits} "
            f"({4**circuit.n_qubits:,} numbers per sample)."
        )
    if circuit.start != "zero":
        raise Refusal(f"A circuit for engine 'density' must start in |0…0⟩, got {circuit.start}.")
    if readout.kind == "state":
        raise Refusal(
            "readout must be expectations or probabilities for engine 'density', got the state. "
            "A mixed state is no state vector."
        )


def working_bytes(circuit: Circuit, batch: int, name: str) -> int:
    """Return the bytes of three states, as engine `torch` does."""
    return 3 * 4 * 4**circuit.n_qubits * batch


def run(circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str) -> Tensor:
    """Compute the read-out of every sample (see `registry.Engine.run`)."""
    noise = noise_of(name)
    first = torch.from_numpy(paulis.zero_state(circuit.n_qubits)).to(inputs)
    state = first.expand(inputs.shape[0], -1)
    for op in _ops(circuit, noise):
        state = op.apply(state, inputs, params)
    return _read(state, circuit.n_qubits, readout, noise)


@functools.lru_cache(maxsize=256)
def _ops(circuit: Circuit, noise: Noise) -> tuple[_Op, ...]:
    n, ops = circuit.n_qubits, []
    for gate in circuit.gates:
        for kind, wires, angle in gate.parts():
            if angle is None:
                partner, sign = paulis.flip_rows(n, wires)
            else:
                partner, sign = paulis.rotation(n, {"Y": paulis.Y, "Z": paulis.Z}[kind], wires)
            ops.append(_Op(angle, torch.from_numpy(partner), torch.from_numpy(sign)))
        chance = noise.depolarizing_1q if len(gate.wires) == 1 else noise.depolarizing_2q
        if chance:
            shrink = 1 - chance * torch.from_numpy(paulis.touched(n, gate.wires)).double()
            ops.append(_Op(None, None, shrink))
    return tuple(ops)


def _read(state: Tensor, n_qubits: int, readout: Readout, noise: Noise) -> Tensor:
    """Compute expectation values of Z-strings, or probabilities, with read-out errors.

    If 0 is read as 1 with probability u and 1 as 0 with d, Z becomes (1 - u - d) Z + (d - u).
    """
    scale, offset = (
        1 - noise.readout_0to1 - noise.readout_1to0,
        noise.readout_1to0 - noise.readout_0to1,
    )
    subsets = torch.arange(2**n_qubits)
    wires = [[w for w in range(n_qubits) if k >> (n_qubits - 1 - w) & 1] for k in subsets.tolist()]
    of_z = state[:, [paulis.z_string(n_qubits, tuple(each)) for each in wires]]
    if scale != 1 or offset:
        mixing = torch.tensor([[1.0, 0.0], [offset, scale]], dtype=torch.float64)
        of_z = of_z @ functools.reduce(torch.kron, [mixing] * n_qubits).mT.to(of_z)
    if readout.kind == "probs":
        return of_z @ torch.from_numpy(paulis.probability_signs(n_qubits)).mT.to(of_z)
    masks = [sum(1 << (n_qubits - 1 - w) for w in set(each)) for each in readout.strings]
    return of_z[:, masks]
