"""Supernet with shared angles for all circuits of a search space.

Circuits with the same rotations in a layer share the angles of that layer. There are several sets
of angles, the experts. In the first half of the steps the expert is random. Later, a circuit
trains the expert with the lowest cost.

Source:
    arXiv:2010.10217 and its authors' code: angles (experts, layers, kinds of layer, qubits),
    uniform, shared by all patterns of CNOTs; 400 epochs of Adam at 0.05 on a random circuit each,
    the first half with a random expert.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.studies.architecture_search.space import Point, Space

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
