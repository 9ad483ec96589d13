"""Supernet with shared angles for all circuits of a search space.

Circuits with the same rotations in a layer share the angles of that layer. There are several sets
of angles, the experts. In the first half of the steps the expert is random. Later, a circuit
trains the expert with the lowest cost.

Source:
    arXiv:2010.10217 and its authors' code: angles (experts, layers, kinds of layer, qubits),
    uniform, shared by all patterns of CNOTs; 400 epochs of Adam at 0.05 on a random circuit each,
    the first half with a random expert.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

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


Cost = Callable[[Circuit, Tensor], Tensor]  # arguments: circuit and its angles


class Supernet:
    """Shared angles of a search space, and their training.

    Args:
        space: Search space.
        experts: Number of sets of angles.
        seed: Seed of the initial angles and of all draws.
    """

    def __init__(self, space: Space, experts: int = 5, seed: int = 0):
        self.space, self.experts = space, experts
        self.random = torch.Generator().manual_seed(seed)
        shape = (experts, space.n_layers, len(space.letters), space.n_qubits)
        start = 2 * math.pi * torch.rand(shape, generator=self.random, dtype=torch.float64)
        self.angles = start.requires_grad_()
        self._places = {letters: k for k, letters in enumerate(space.letters)}

    def draw(self) -> Point:
        """Draw a circuit with equal probability for all rotations and CNOT subsets."""
        return self.space.point(self._below)

    def of(self, point: Point, expert: int) -> Float[Tensor, "n_params"]:
        """Return the angles of one expert for a circuit."""
        places = [self._places[letters] for letters, _ in point]
        return self.angles[expert, range(len(point)), places].flatten()

    @torch.no_grad()
    def best(self, point: Point, cost: Cost) -> tuple[int, float]:
        """Return the expert with the lowest cost for a circuit, and that cost."""
        circuit = self.space.circuit(point)
        costs = [cost(circuit, self.of(point, expert)).item() for expert in range(self.experts)]
        least = min(range(self.experts), key=costs.__getitem__)
        return least, costs[least]

    def train(
        self,
        cost: Cost,
        steps: int,
        learning_rate: float = 0.05,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> None:
        """Train all angles on one random circuit per step.

        Args:
            cost: Cost to minimise.
            steps: Number of steps.
            learning_rate: Learning rate of Adam.
            on_step: Callback with the step, counted from 1, and the cost.
        """
        adam = torch.optim.Adam([self.angles], learning_rate)
        for step in range(1, steps + 1):
            point = self.draw()
            is_early = 2 * step <= steps
            expert = self._below(self.experts) if is_early else self.best(point, cost)[0]
            loss = cost(self.space.circuit(point), self.of(point, expert))
            adam.zero_grad()
            loss.backward()
            adam.step()
            on_step(step, loss.item())

    def _below(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.random))
