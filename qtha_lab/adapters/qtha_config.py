"""Settings of QTHA, with their limits and exclusions, and the choice of its size."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from qtha_lab.adapters.initialisation.angles import angles_setting, check_angle_setting
from qtha_lab.adapters.peft import RankConfig
from qtha_lab.adapters.qtha_branches import READOUTS, STAND_INS, CircuitBranch
from qtha_lab.adapters.qtha_operators import STARTS, operator_shapes
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import setting
from qtha_lab.simulators import check_engine


@dataclasses.dataclass
class QthaConfig(RankConfig):
    """Settings of QTHA.

    An open waist is chosen at injection, together with any open r, bond_dim and n_layers
    (`qtha_size`). The budget is 24 % of the parameters of LoRA r = 8 on the same modules. The
    config then holds the chosen numbers.

    Example:
        >>> config = QthaConfig(size="paper", r=10, n_layers=1)
        >>> config.n_parameters(3584, 3584) + config.n_parameters(3584, 512)
        26880
        >>> sized = QthaConfig().sized_for([(192, 192), (192, 64)])
        >>> sized.waist, sized.r, sized.bond_dim, sized.n_layers
        (32, 4, 2, 2)
    """

    sized_by: ClassVar[tuple[str, ...]] = ("r", "waist", "bond_dim")

    r: int | None = setting(
        None,
        "Bottleneck size and number of qubits. Unset, chosen with the waist, or 8 beside a set "
        "waist.",
        ge=1,
        le=256,
        common=True,
    )
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is 2 r.", gt=0, common=True
    )
    use_mpo: bool = setting(
        True, "Map to and from a waist by tensor networks (else A and B alone)."
    )
    waist: int | None = setting(
        None,
        "Width between the tensor networks and A, B; auto is the largest within 24 % of LoRA r=8.",
        ge=1,
        common=True,
        auto=True,
    )
    bond_dim: int | None = setting(
        None,
        "Bond dimension of both tensor networks. Unset, chosen with the waist, or 8 beside a set "
        "one.",
        ge=1,
        common=True,
    )
    size: str = setting(
        "auto",
        "Values of unset waist, r, bond_dim: chosen for the model, or the authors' 256, 8, 8.",
        choices=("auto", "paper"),
    )
    n_sites: int = setting(4, "Cores of each tensor network.", ge=1, le=12)
    in_dims: tuple | None = setting(None, "Factors of in_features; None finds balanced ones.")
    out_dims: tuple | None = setting(None, "Factors of out_features; None finds balanced ones.")
    use_circuit: bool = setting(True, "Use the quantum branch, W_q · ⟨Z⟩, or its stand-in.")
    stand_in: str = setting(
        "none",
        "Control in place of the circuit: a bias, SiLU layers, cosines or a phase.",
        choices=tuple(STAND_INS),
    )
    stand_in_layers: int = setting(
        2, "Layers of stand-in 'silu': 2, 3, 4 are the authors' BD, BE, BF.", ge=2, le=4
    )
    ansatz: str = setting(
        "qtha",
        "Circuit of the quantum branch.",
        choices=ansatze.ANSATZE,
        with_options=True,
        common=True,
    )
    n_layers: int | None = setting(
        None,
        "Layers of the circuit. Unset, 2 beside waist=auto, else r.",
        ge=1,
        le=1024,
        common=True,
    )
    reupload: bool = setting(True, "Encode the bottleneck in every layer of the circuit.")
    input_scale: float = setting(1.0, "Factor on the bottleneck before it becomes angles.")
    readout: str = setting(
        "z",
        "Observables: ⟨Z_i⟩ as published, all ⟨Z_i Z_j⟩ too, or 2^r probabilities (ours).",
        choices=READOUTS,
    )
    engine: str = setting(
        "auto",
        "Simulation engine: the fastest one (auto), a name, or device:NAME(option=value).",
        common=True,
    )
    train_circuit: bool = setting(True, "Train the angles. Off keeps their initial values.")
    angles: str = angles_setting()
    use_linear: bool = setting(True, "Use the linear branch, W_c · h.")
    fusion: str = setting(
        "sum",
        "Combination of the branches: sum (version 2, code) or product (version 1).",
        choices=("sum", "hadamard"),
    )
    classical_layers: int = setting(
        0, "Blocks of the model that get plain LoRA instead (layer mixing).", ge=0
    )
    classical_end: str = setting(
        "first", "End of the model with these blocks.", choices=("first", "last")
    )
    init: str = setting(
        "balanced",
        "Initialisation: first step as large as LoRA's (balanced), along the gradient of "
        "start_rows, singular values near 1 (isometric), or as published (paper).",
        choices=STARTS,
        common=True,
    )
    start_rows: int = setting(
        64, "Training rows of init=gradient; other initialisations read none.", ge=0
    )
    init_scale: float = setting(
        1.0, "Factor on the initial tensor networks (on A where there are none).", gt=0
    )

    def __post_init__(self):
        self.waist = None if self.waist == "auto" else self.waist
        if not self.is_open:
            for name, value in PAPER.items():
                setattr(self, name, value if getattr(self, name) is None else getattr(self, name))
        self.in_dims = tuple(self.in_dims) if self.in_dims is not None else None
        self.out_dims = tuple(self.out_dims) if self.out_dims is not None else None
        super().__post_init__()
        self._check_parts()
        if self.init == "gradient":
            self._check_gradient()
        if self.use_circuit and self.stand_in == "none":
            self._check_circuit()
        instead = f"stand_in={self.stand_in!r}" if self.use_circuit else "use_circuit=False"
        check_angle_setting(self.angles, self.circuits(), instead)

    def _check_parts(self) -> None:
        if not (self.use_mpo or self.use_circuit or self.use_linear):
            raise Refusal("One of use_mpo, use_circuit and use_linear must be on.")
        if self.fusion == "hadamard" and not (self.use_circuit and self.use_linear):
            raise Refusal(
                "use_circuit and use_linear must be on for fusion=hadamard, which multiplies them."
            )
        if self.stand_in != "none" and self.readout != "z":
            raise Refusal(
                f"readout must be z beside stand_in={self.stand_in!r}, which replaces the circuit, "
                f"got {self.readout!r}."
            )

    def _check_gradient(self) -> None:
        if self.start_rows < 1:
            raise Refusal(
                "start_rows must be at least 1 for init=gradient, which reads training rows, got "
                f"{self.start_rows}."
            )
        if not (self.use_circuit or self.use_linear):
            raise Refusal("use_circuit or use_linear must be on for init=gradient, got neither.")

    def _check_circuit(self) -> None:
        least = ansatze.get(self.ansatz).min_qubits
        if self.r is not None and self.r < least:
            raise Refusal(
                f"r must be at least {least} for ansatz {self.ansatz!r}, got {self.r}. The circuit "
                "has r qubits."
            )
        (circuit,) = self.circuits()
        readout = None if self.r is None else CircuitBranch.readout_of(self)
        check_engine(self.engine, circuit, readout)

    @property
    def is_open(self) -> bool:
        """True if the waist is still to be chosen for a model."""
        return self.use_mpo and self.waist is None and self.size == "auto"

    def sized_for(self, sizes: Sequence[tuple[int, int]]) -> Self:
        """Return the config with its open sizes chosen for layers of these sizes."""
        if not self.is_open:
            return self
        return dataclasses.replace(self, **chosen_size(self, sizes))

    @property
    def architecture(self) -> str:
        """Authors' letters: A = tensor networks, B = linear branch, C = circuit."""
        switches = (self.use_mpo, self.use_linear, self.use_circuit)
        return "".join(letter for letter, is_on in zip("ABC", switches, strict=True) if is_on)

    @property
    def scale(self) -> float:
        """Factor alpha / r, or alpha / √r."""
        assert self.r is not None, "the size is still open"
        return self.scaling(2 * self.r if self.alpha is None else self.alpha)

    @property
    def rows_to_start(self) -> int:
        """Number of training rows that the initialisation reads."""
        return self.start_rows if self.init == "gradient" else 0

    def circuits(self) -> list[Circuit]:
        """Return the circuit of the quantum branch; empty without a circuit.

        With an open size, the circuit has the preferred r.
        """
        if not self.use_circuit or self.stand_in != "none":
            return []
        r = self.r or max(FIRST["r"], ansatze.get(self.ansatz).min_qubits)
        return [ansatze.build(self.ansatz, r, self.n_layers or r, self.reupload)]

    @classmethod
    def for_budget(cls, model: nn.Module, **request: Any) -> Self:
        """Search the config with the most parameters within a budget.

        Options are those of `qtha_lab.adapters.budget.for_budget`.
        """
        from qtha_lab.adapters.budget import for_budget

        if request.get("classical_layers"):
            raise Refusal(
                "classical_layers must be 0 for for_budget, which counts equal blocks, got "
                f"{request['classical_layers']}."
            )
        return for_budget(cls, model, **request)


if TYPE_CHECKING:
    pass

SHARE, LORA_R = 0.24, 8
PAPER = {"r": 8, "waist": 256, "bond_dim": 8}  # values of the authors
FIRST = {"r": 4, "bond_dim": 2}  # reached before the waist increases
GRID = {
    "waist": (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    "n_layers": (1, 2),
    "r": (1, 2, 3, 4, 5, 6, 7, 8),
    "bond_dim": (1, 2, 3, 4, 5, 6, 7, 8),
}
Sizes = Sequence[tuple[int, int]]


def budget(sizes: Sizes) -> int:
    """Compute the parameter budget for layers of these sizes.

    Example:
        >>> budget([(192, 192), (192, 64)])  # 0.24 · 8 · (384 + 256)
        1228
    """
    return int(SHARE * LORA_R * sum(map(sum, sizes)))


def chosen_size(config: "QthaConfig", sizes: Sizes) -> dict[str, int]:
    """Choose waist, r, bond_dim and n_layers of a config.

    Values that the config states are not changed.
    """
    for name in ("classical_layers", "rank_pattern"):
        if getattr(config, name):
            raise Refusal(f"waist must be a number beside {name}, got auto. Set waist.")
    layers, most = Counter(sizes), budget(sizes)
    counts = []
    for point in _points(config):
        if (count := _count_full(config, point, layers)) <= most:
            own = dataclasses.replace(config, **point)
            count = max(count, sum(n * own.n_parameters(*size) for size, n in layers.items()))
            if count <= most:
                return point
        counts.append(count)
    raise Refusal(
        "waist must be a number here, got auto: the smallest QTHA of these settings trains "
        f"{min(counts):,} parameters, more than {SHARE:.0%} of LoRA r={LORA_R} ({most:,}). "
        "Set waist, or do not set r and bond_dim."
    )


def _points(config: "QthaConfig") -> Iterator[dict[str, int]]:
    """Yield every choice of the open numbers, in order of preference."""
    from qtha_lab.circuits import ansatze

    stated = {name: v for name in GRID if (v := getattr(config, name)) is not None}
    least = 1 if config.stand_in != "none" or not config.use_circuit else None
    least = least or ansatze.get(config.ansatz).min_qubits
    values = {name: (stated[name],) if name in stated else GRID[name] for name in GRID}
    values["r"] = [r for r in values["r"] if r >= least or "r" in stated]
    points = [
        dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())
    ]
    yield from sorted(points, key=_preference, reverse=True)


def _preference(point: Mapping[str, int]) -> tuple[int, ...]:
    reached = (min(point[name], most) for name, most in FIRST.items())
    return (*reached, *(point[name] for name in GRID))


def _count_full(config: "QthaConfig", point: Mapping[str, int], layers: Mapping) -> int:
    """Count the parameters of QTHA with all its branches, by the formula of `qtha`.

    So a control without a branch has the same size.
    """
    waist, r = point["waist"], point["r"]
    inside = 2 * waist * r + 2 * r**2 + 4 * r * point["n_layers"]
    factors = config.n_sites, config.in_dims, config.out_dims
    total = 0
    for size, n in layers.items():
        shapes = operator_shapes(*size, waist, point["bond_dim"], *factors)
        total += n * (inside + sum(shape.n_parameters for shape in shapes))
    return total
