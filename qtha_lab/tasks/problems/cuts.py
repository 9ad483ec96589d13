"""Maximum cut of random graphs: edges, weights, and the best cut by exhaustive search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Graph:
    """Graph with the weight of each edge.

    Attributes:
        n: Number of nodes.
        edges: Pairs of nodes.
        weights: Weights of the edges, in their order.
    """

    n: int
    edges: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]

    @property
    def best_cut(self) -> float:
        """Largest sum of weights between two parts, by exhaustive search.

        Example:
            >>> Graph(3, ((0, 1), (1, 2), (0, 2)), (1.0, 1.0, 1.0)).best_cut
            2.0
        """
        bits = np.arange(2**self.n)[:, None] >> np.arange(self.n) & 1
        first, second = np.array(self.edges).T
        return float(((bits[:, first] != bits[:, second]) @ np.array(self.weights)).max())


def random_graph(n: int, seed: int, weighted: bool = False) -> Graph:
    """Draw a graph in which each pair is an edge with probability ½.

    A graph without edges gets the edge (0, 1).

    Args:
        n: Number of nodes.
        seed: Seed of edges and weights.
        weighted: Draw weights uniformly from 0.1 to 2; otherwise all are 1.

    Example:
        >>> random_graph(4, seed=1).weights[0]
        1.0
    """
    random = np.random.default_rng(seed)
    edges = [(a, b) for a in range(n) for b in range(a + 1, n) if random.random() < 0.5]
    edges = edges or [(0, 1)]
    weights = random.uniform(0.1, 2, len(edges)) if weighted else np.ones(len(edges))
    return Graph(n, tuple(edges), tuple(weights.tolist()))
