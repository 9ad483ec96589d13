"""Noise options of engine `density`: probabilities of gate and read-out errors.

String k of 4^n has the letters I, X, Y, Z = 0, 1, 2, 3 as its base-4 digits, wire 0 first. A
rotation about a string Q mixes each string that anticommutes with Q with its product with Q. X and
CNOT permute strings up to signs; noise shrinks them. No angles.
"""

import dataclasses
import functools
import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Readout
from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import check_settings, setting, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments


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
    first = torch.from_numpy(zero_state(circuit.n_qubits)).to(inputs)
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
                partner, sign = flip_rows(n, wires)
            else:
                partner, sign = rotation(n, {"Y": Y, "Z": Z}[kind], wires)
            ops.append(_Op(angle, torch.from_numpy(partner), torch.from_numpy(sign)))
        chance = noise.depolarizing_1q if len(gate.wires) == 1 else noise.depolarizing_2q
        if chance:
            shrink = 1 - chance * torch.from_numpy(touched(n, gate.wires)).double()
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
    of_z = state[:, [z_string(n_qubits, tuple(each)) for each in wires]]
    if scale != 1 or offset:
        mixing = torch.tensor([[1.0, 0.0], [offset, scale]], dtype=torch.float64)
        of_z = of_z @ functools.reduce(torch.kron, [mixing] * n_qubits).mT.to(of_z)
    if readout.kind == "probs":
        return of_z @ torch.from_numpy(probability_signs(n_qubits)).mT.to(of_z)
    masks = [sum(1 << (n_qubits - 1 - w) for w in set(each)) for each in readout.strings]
    return of_z[:, masks]


ID, X, Y, Z = range(4)
# product P·Q of two letters: the letter, and the power of i as factor
_PRODUCT = {(a, a): (ID, 0) for a in range(4)}
_PRODUCT |= {(ID, a): (a, 0) for a in range(4)} | {(a, ID): (a, 0) for a in range(4)}
for _a, _b, _c in ((X, Y, Z), (Y, Z, X), (Z, X, Y)):
    _PRODUCT |= {(_a, _b): (_c, 1), (_b, _a): (_c, 3)}


@functools.lru_cache(maxsize=64)
def letters(n_qubits: int) -> np.ndarray:
    """Return the letters of every string, (4^n, n)."""
    return np.array(list(itertools.product(range(4), repeat=n_qubits)), dtype=np.int64)


def _index(strings: np.ndarray) -> np.ndarray:
    return strings @ 4 ** np.arange(strings.shape[1])[::-1]


@functools.lru_cache(maxsize=256)
def rotation(n_qubits: int, letter: int, wires: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return partner and sign of each Pauli string under the rotation exp(-i a/2 Q).

    The rotation maps r to keep · r + cos a · (1 - keep) · r + sin a · sign · r[partner].
    Here keep = (sign is 0).

    Args:
        n_qubits: Qubits of the state.
        letter: Letter of Q on its wires.
        wires: Wires on which Q is not the identity.

    Returns:
        The partner of each string, (4^n,), and the sign, 0 if the string commutes with Q.

    Example:
        >>> partner, sign = rotation(1, Z, (0,))  # RZ: X becomes cos X - sin Y
        >>> partner.tolist(), sign.tolist()
        ([3, 2, 1, 0], [0, -1, 1, 0])
    """
    strings = letters(n_qubits)
    products, power = strings.copy(), np.zeros(len(strings), dtype=np.int64)
    for wire in wires:
        pairs = [_PRODUCT[int(p), letter] for p in strings[:, wire]]
        products[:, wire] = [p for p, _ in pairs]
        power += [i for _, i in pairs]
    # U†PU = cos a P - i sin a PQ if P and Q anticommute; then PQ is ±i times a string
    sign = np.array([{0: 0, 1: 1, 2: 0, 3: -1}[int(k) % 4] for k in power])
    return _index(products), sign


@functools.lru_cache(maxsize=256)
def flip_rows(n_qubits: int, wires: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return partner and sign of each Pauli string under X or CNOT.

    The gate maps r to sign · r[partner].
    """
    strings = letters(n_qubits)
    if len(wires) == 1:
        column = strings[:, wires[0]]
        return np.arange(len(strings)), np.where((column == Y) | (column == Z), -1, 1)
    control, target = wires
    moved, power = strings.copy(), np.zeros(len(strings), dtype=np.int64)
    for k, row in enumerate(strings):
        # CNOT maps X_c to X_c X_t and Z_t to Z_c Z_t; Y = i X Z
        c, t = int(row[control]), int(row[target])
        on_control, on_target = (c, X if c in (X, Y) else ID), (Z if t in (Y, Z) else ID, t)
        (first, i), (second, j) = (
            _PRODUCT[a, b] for a, b in zip(on_control, on_target, strict=True)
        )
        moved[k, [control, target]] = first, second
        power[k] = i + j
    return _index(moved), np.where(power % 4 == 0, 1, -1)


@functools.lru_cache(maxsize=256)
def touched(n_qubits: int, wires: tuple[int, ...]) -> np.ndarray:
    """Return True if each string acts on any of the wires, (4^n,).

    Full depolarisation of the wires maps the expectation values of these strings to 0.
    """
    return (letters(n_qubits)[:, list(wires)] != ID).any(1)


@functools.lru_cache(maxsize=64)
def zero_state(n_qubits: int) -> np.ndarray:
    """Return the Pauli expectation values of |0…0⟩, (4^n,).

    The value is 1 for strings of I and Z, else 0.
    """
    strings = letters(n_qubits)
    return ((strings == ID) | (strings == Z)).all(1).astype(float)


@functools.lru_cache(maxsize=64)
def z_string(n_qubits: int, wires: tuple[int, ...]) -> int:
    """Return the index of the string with Z on some wires."""
    return sum(Z * 4 ** (n_qubits - 1 - wire) for wire in set(wires))


@functools.lru_cache(maxsize=64)
def probability_signs(n_qubits: int) -> np.ndarray:
    """Return the matrix from the 2^n expectations of I/Z-strings to probabilities, (2^n, 2^n).

    Its entries are signs over 2^n, wire 0 first.
    """
    one = np.array([[1.0, 1.0], [1.0, -1.0]])
    return functools.reduce(np.kron, [one] * n_qubits) / 2**n_qubits
