"""Search space of circuits: rotations and subsets of CNOTs in every layer."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import check_settings, setting, settings_of, unknown

PAIRS = ("all", "chain", "none")
Layer = tuple[str, tuple[tuple[int, int], ...]]
Point = tuple[Layer, ...]


@dataclass(frozen=True)
class Space:
    """Circuits of layers with one rotation per qubit, then a subset of CNOTs.

    Example:
        >>> Space(3, 3).n_points  # (3³ · 2³)³
        10077696

    Source:
        arXiv:2010.10217: three qubits, three layers, {RX, RY, RZ}³ and subsets of CNOT 01, 02, 12.
    """

    n_qubits: int = setting(3, "Qubits.", ge=1, le=5)
    n_layers: int = setting(3, "Layers.", ge=1, le=20)
    rotations: str = setting("XYZ", "Axes of rotations, such as XYZ or Y.")
    pairs: str = setting("all", "CNOTs of which a layer may have any.", choices=PAIRS)

    def __post_init__(self):
        check_settings(self)
        axes = self.rotations
        if not axes or set(axes) - set("XYZ") or len(set(axes)) < len(axes):
            raise Refusal(f"rotations must be different letters of X, Y, Z, got {axes!r}.")
        if self.n_points == 1:
            raise Refusal(
                "The space must have more than one point, got "
                f"{self.code(self.point(lambda n: 0))}. Give it more rotations or pairs."
            )

    @property
    def letters(self) -> list[str]:
        """Strings of rotation axes that a layer may have, one letter per qubit."""
        return ["".join(each) for each in itertools.product(self.rotations, repeat=self.n_qubits)]

    @property
    def links(self) -> list[tuple[int, int]]:
        """Qubit pairs of the CNOTs from which a layer takes any subset."""
        if self.pairs == "none":
            return []
        pairs = itertools.combinations(range(self.n_qubits), 2)
        return [(a, b) for a, b in pairs if self.pairs == "all" or b == a + 1]

    @property
    def n_points(self) -> int:
        """Number of circuits in the space."""
        return (len(self.rotations) ** self.n_qubits * 2 ** len(self.links)) ** self.n_layers

    def point(self, choose: Callable[[int], int]) -> Point:
        """Build a circuit of the space from a sequence of choices.

        Args:
            choose: Function that returns an integer from 0 to below its argument. The order per
                layer is the rotation letters, then each CNOT.
        """
        letters, links = self.letters, self.links
        layers = []
        for _ in range(self.n_layers):
            rotations = letters[choose(len(letters))]
            layers.append((rotations, tuple(link for link in links if choose(2))))
        return tuple(layers)

    @staticmethod
    def code(point: Point) -> str:
        """Return the code of a circuit for ansatz `searched`."""
        return "/".join(letters + "".join(f"-{a}{b}" for a, b in pairs) for letters, pairs in point)

    def circuit(self, point: Point, reupload: bool = True) -> Circuit:
        """Build the circuit of a point with ansatz `searched`."""
        shape = self.n_qubits, self.n_layers, reupload
        return ansatze.build("searched", *shape, code=self.code(point))

    def baseline(self) -> Point:
        """Return the circuit with RY on every qubit and a CNOT chain per layer."""
        chain = tuple((i, i + 1) for i in range(self.n_qubits - 1))
        return (("Y" * self.n_qubits, chain),) * self.n_layers

    def product(self) -> Point:
        """Return the circuit with RY on every qubit and no CNOT."""
        return (("Y" * self.n_qubits, ()),) * self.n_layers


def n_cnots(point: Sequence[Layer]) -> int:
    """Count the CNOTs of all layers."""
    return sum(len(pairs) for _, pairs in point)


def space_of(text: str) -> Space:
    """Parse a search space, such as `layers(n_qubits=3,n_layers=3,rotations=XYZ,pairs=all)`.

    Raises:
        Refusal: If the text has another form, or the space has one point.

    Example:
        >>> space_of("layers(n_qubits=2,rotations=Y,pairs=none)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: The space must have more than one point, got YY/YY/YY. …
    """
    name, options = call_syntax.parse_call(text, "space")
    if name != "layers":
        raise unknown("space", name, ["layers"])
    for option in options:
        if option not in settings_of(Space):
            raise unknown("option of layers", option, settings_of(Space))
    if "pairs" in options:  # the grammar parses "none" as None
        options["pairs"] = options["pairs"] or "none"
    return Space(**options)
