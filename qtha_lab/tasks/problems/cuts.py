"""Largest cuts of random graphs: edges, their weights, and the best cut by trying all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Graph:
    """A graph and the weight of each edge.

    Attributes:
        n: Nodes.
        edges: Pairs of nodes.
        weights: Of the edges, in their order.
    """

    n: int
    edges: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]

    @property
    def best_cut(self) -> float:
        """The largest sum of weights between two halves, by trying all of them.

        Example:
            >>> Graph(3, ((0, 1), (1, 2), (0, 2)), (1.0, 1.0, 1.0)).best_cut
            2.0
        """
        bits = np.arange(2**self.n)[:, None] >> np.arange(self.n) & 1
        first, second = np.array(self.edges).T
        return float(((bits[:, first] != bits[:, second]) @ np.array(self.weights)).max())


def random_graph(n: int, seed: int, weighted: bool = False) -> Graph:
    """A graph in which each pair is an edge with chance ½; never one without edges.

    Args:
        n: Nodes.
        seed: Of edges and weights.
        weighted: Whether weights are uniform in 0.1 to 2; else they are 1.

    Example:
        >>> random_graph(4, seed=1).weights[0]
        1.0
    """
    random = np.random.default_rng(seed)
    edges = [(a, b) for a in range(n) for b in range(a + 1, n) if random.random() < 0.5]
    edges = edges or [(0, 1)]
    weights = random.uniform(0.1, 2, len(edges)) if weighted else np.ones(len(edges))
    return Graph(n, tuple(edges), tuple(weights.tolist()))
