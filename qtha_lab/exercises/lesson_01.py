"""Exercises of lesson 1: what rank an update can have, and ways to count it."""

import numpy as np

from qtha_lab.exercises import judge
from qtha_lab.exercises.registry import exercise


@exercise(
    "1.1",
    "Count LoRA's parameters",
    difficulty=1,
    minutes=3,
    answer="n_parameters",
    hints=(
        "A has r rows of in_features entries, B has out_features rows of r entries.",
        "For one layer: r × (in_features + out_features).",
    ),
    solution="n_parameters = 8 * (576 + 192)",
    wrong=("n_parameters = 576 * 192", "n_parameters = 8 * 576 * 192", "n_parameters = 8 * 576"),
)
def _(answer):
    traps = {
        576 * 192: "that is the whole weight, which stays frozen",
        8 * 576 * 192: "A and B are two thin matrices: their sizes add",
        8 * 576: "that is A alone",
        8 * 192: "that is B alone",
    }
    judge.number(answer, 8 * (576 + 192), traps=traps)
    return "One eighteenth of the 110,592 entries of the weight that they change."


@exercise(
    "1.2",
    "Two adapters at once",
    difficulty=1,
    minutes=4,
    answer="largest_rank",
    hints=(
        "The columns of a sum lie in the span of the columns of both terms.",
        "Write the sum as one product: the columns of both B side by side, the rows of both A stacked.",
    ),
    solution="largest_rank = 2 + 8",
    wrong=("largest_rank = 8", "largest_rank = 16", "largest_rank = 192"),
)
def _(answer):
    traps = {
        8: "that would need the columns of the smaller one to lie in the span of the larger one's",
        16: "ranks of a product of layers may multiply in other settings; here the updates are added",
        192: "that is the most any matrix of this size can have; these two have less",
    }
    judge.number(answer, 10, traps=traps)
    return "rank(X + Y) ≤ rank(X) + rank(Y), reached whenever their spans do not meet."


@exercise(
    "1.3",
    "Two ranks from singular values",
    difficulty=2,
    minutes=10,
    answer="ranks",
    hints=(
        "Stable rank: the sum of the squares over the largest square.",
        "Effective rank: make the values sum to 1, take the entropy with the natural logarithm, "
        "then exp of it.",
        "0 · log 0 counts as 0: leave zeros out before the logarithm.",
    ),
    solution="""
        import numpy as np

        def ranks(values):
            values = np.asarray(values, dtype=float)
            stable = (values**2).sum() / values.max() ** 2
            shares = values[values > 0] / values.sum()
            effective = np.exp(-(shares * np.log(shares)).sum())
            return effective, stable
    """,
    wrong=(
        """
        import numpy as np

        def ranks(values):
            shares = np.asarray(values) ** 2 / np.sum(np.square(values))
            return np.exp(-(shares * np.log(shares + 1e-300)).sum()), 1 / shares.max()
        """,
        """
        import numpy as np

        def ranks(values):
            shares = np.asarray(values) / np.sum(values)
            entropy = -(shares * np.log2(shares + 1e-300)).sum()
            return np.exp(entropy), np.sum(np.square(values)) / np.max(values) ** 2
        """,
        "ranks = lambda values: (len(values), len(values))",
    ),
)
def _(answer):
    one, two = [1.0, 0.0, 0.0], [3.0, 3.0, 0.0]
    uneven = np.array([2.0, 1.0, 1.0])  # shares 1/2, 1/4, 1/4: entropy 1.5 ln 2
    judge.on_cases(
        answer,
        [((one,), (1, 1)), ((two,), (2, 2)), ((uneven.tolist(),), (2**1.5, 1.5))],
    )
    return "The package has both: `spectrum_of(matrix).effective_rank` and `.stable_rank`."


@exercise(
    "1.4",
    "Singular values of a product, without the product",
    difficulty=3,
    minutes=15,
    answer="product_values",
    hints=(
        "B = Q R with orthonormal columns in Q: which singular values does Q change?",
        "Decompose B = Q₁ R₁ and Aᵀ = Q₂ R₂; then B A = Q₁ (R₁ R₂ᵀ) Q₂ᵀ.",
        "R₁ R₂ᵀ is r × r: torch.linalg.svdvals(R₁ @ R₂.T).",
    ),
    solution="""
        import torch

        def product_values(B, A):
            first = torch.linalg.qr(B, mode="r").R
            second = torch.linalg.qr(A.T, mode="r").R
            return torch.linalg.svdvals(first @ second.T)
    """,
    wrong=(
        """
        import torch

        def product_values(B, A):
            return torch.linalg.svdvals(B) * torch.linalg.svdvals(A)
        """,
        """
        import torch

        def product_values(B, A):
            return torch.linalg.svdvals(B @ A)
        """,
    ),
)
def _(answer):
    import torch

    random = torch.Generator().manual_seed(0)
    cases = []
    for rows, r, columns in ((6, 2, 4), (300, 8, 200)):
        B = torch.randn(rows, r, generator=random, dtype=torch.float64)
        A = torch.randn(r, columns, generator=random, dtype=torch.float64)
        cases.append(((B, A), torch.linalg.svdvals(B @ A)[:r].numpy()))
    judge.on_cases(answer, cases, told=_sizes)
    return "At r = 8 this is an 8 × 8 decomposition, however large the layer. It is `factored_spectrum`."


def _sizes(B, A) -> str:
    return f"B of {tuple(B.shape)} and A of {tuple(A.shape)}"
