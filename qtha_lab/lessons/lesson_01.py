"""Exercises of lesson 1: rank of an update, measures of rank, and equal parameter counts."""

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise

exercise(
    "1.1",
    "Count LoRA's parameters",
    difficulty=1,
    minutes=3,
    answer="n_parameters",
    hints=(
        "Which of W, A and B are trained?",
        "A has r rows of in_features entries, B has out_features rows of r entries.",
        "For one layer: r × (in_features + out_features).",
    ),
    solution="n_parameters = 8 * (576 + 192)",
    mistakes=(
        ("n_parameters = 576 * 192", "that is the whole weight, which stays frozen"),
        ("n_parameters = 8 * 576 * 192", "A and B are two thin matrices: their sizes add"),
        ("n_parameters = 8 * 576", "that is A alone"),
        ("n_parameters = 8 * 192", "that is B alone"),
    ),
    grader=grading.Number(8 * (576 + 192)),
    remark="One eighteenth of the 110,592 entries of the weight that they change.",
)

exercise(
    "1.2",
    "Two adapters at once",
    difficulty=1,
    minutes=4,
    answer="largest_rank",
    hints=(
        "In which space do the columns of a product B A lie?",
        "The columns of a sum lie in the span of the columns of both terms.",
        (
            "Write the sum as one product: the columns of both B side by side, the rows of both A"
            " stacked."
        ),
    ),
    solution="largest_rank = 2 + 8",
    mistakes=(
        (
            "largest_rank = 8",
            (
                "that would need the columns of the smaller update to lie in the span of the larger"
                " one's"
            ),
        ),
        (
            "largest_rank = 16",
            "ranks multiply for Kronecker products; here the updates are added",
        ),
        (
            "largest_rank = 192",
            "any matrix of this size has at most that; the columns of these two span less",
        ),
    ),
    grader=grading.Number(10),
    remark="rank(X + Y) ≤ rank(X) + rank(Y), reached whenever their spans do not meet.",
)


def _spectra():
    uneven = [2.0, 1.0, 1.0]  # shares 1/2, 1/4, 1/4: entropy 1.5 ln 2
    yield ([1.0, 0.0, 0.0],), (1, 1)
    yield ([3.0, 3.0, 0.0],), (2, 2)
    yield (uneven,), (2**1.5, 1.5)


exercise(
    "1.3",
    "Two ranks from singular values",
    difficulty=2,
    minutes=10,
    answer="two_ranks",
    hints=(
        "Stable rank: the sum of the squares over the largest square.",
        (
            "Effective rank: make the values sum to 1, take the entropy with the natural logarithm,"
            " then exp of it."
        ),
        "0 · log 0 counts as 0: leave zeros out before the logarithm.",
    ),
    solution="""
        import numpy as np

        def two_ranks(values):
            values = np.asarray(values, dtype=float)
            stable = (values**2).sum() / values.max() ** 2
            shares = values[values > 0] / values.sum()
            effective = np.exp(-(shares * np.log(shares)).sum())
            return effective, stable
    """,
    mistakes=(
        (
            """
            import numpy as np

            def two_ranks(values):
                shares = np.asarray(values) ** 2 / np.sum(np.square(values))
                return np.exp(-(shares * np.log(shares + 1e-300)).sum()), 1 / shares.max()
            """,
            "the shares of the effective rank are those of the values, not of their squares",
        ),
        (
            """
            import numpy as np

            def two_ranks(values):
                shares = np.asarray(values) / np.sum(values)
                entropy = -(shares * np.log2(shares + 1e-300)).sum()
                return np.exp(entropy), np.sum(np.square(values)) / np.max(values) ** 2
            """,
            "an entropy in bits is undone by a power of two, not by exp: use the natural logarithm",
        ),
        (
            "two_ranks = lambda values: (len(values), len(values))",
            "that counts the values, whatever their sizes: zeros count too",
        ),
    ),
    grader=grading.Function(_spectra),
    remark="The package has both: `spectrum_of(matrix).effective_rank` and `.stable_rank`.",
)


def _factors():
    import torch

    random = torch.Generator().manual_seed(0)
    for rows, r, columns in ((6, 2, 4), (300, 8, 200)):
        B = torch.randn(rows, r, generator=random, dtype=torch.float64)
        A = torch.randn(r, columns, generator=random, dtype=torch.float64)
        yield (B, A), torch.linalg.svdvals(B @ A)[:r]


FORMS_PRODUCT = (
    "the values are right, but on the way it makes an array about as large as B A: "
    "at 4096 × 4096 that is what costs"
)


def _forms_no_product(answer):
    import torch

    from qtha_lab.lessons.peak_memory import largest_array

    random = torch.Generator().manual_seed(1)  # of full rank: a Gram matrix must be invertible
    B = torch.randn(600, 2, generator=random, dtype=torch.float64)
    A = torch.randn(2, 500, generator=random, dtype=torch.float64)
    if largest_array(answer, B, A) >= len(B) * A.shape[1] // 2:
        raise grading.WrongAnswer(FORMS_PRODUCT)


exercise(
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
    mistakes=(
        (
            """
            import torch

            def product_values(B, A):
                return torch.linalg.svdvals(B) * torch.linalg.svdvals(A)
            """,
            (
                "singular values of a product are not the products of singular values: "
                "it matters how the directions of B and A lie to each other"
            ),
        ),
        (
            """
            import torch

            def product_values(B, A):
                return torch.linalg.svdvals(B @ A)
            """,
            "B A has at most r singular values above zero: those beyond the r-th are rounding",
        ),
        (
            """
            import torch

            def product_values(B, A):
                return torch.linalg.svdvals(B @ A)[: B.shape[1]]
            """,
            FORMS_PRODUCT,
        ),
    ),
    grader=grading.Function(
        _factors, label=lambda B, A: f"B of {tuple(B.shape)} and A of {tuple(A.shape)}"
    ),
    extra_check=_forms_no_product,
    remark=(
        "At r = 8 this is an 8 × 8 decomposition, however large the layer. It is"
        " `factored_spectrum`."
    ),
)


def _changes():
    draws = np.random.default_rng(0)
    weight = draws.normal(size=(12, 9))
    for thin, share in ((True, 0.05), (True, 2.0), (False, 0.7)):
        change = draws.normal(size=(12, 1)) if thin else draws.normal(size=(12, 9))
        change = 5 * change * np.ones((1, 9)) if thin else 5 * change
        yield (weight, change, share), _at_norm(weight, change, share)


def _at_norm(weight, change, share):
    return change * share * np.linalg.norm(weight) / np.linalg.norm(change)


exercise(
    "1.5",
    "Two updates at one size",
    difficulty=2,
    minutes=8,
    answer="rescaled",
    hints=(
        "Divide out the size that the change has, multiply in the size that it should have.",
        "The size that it should have is share · ‖W‖, not share.",
        "Return change · share · ‖weight‖ / ‖change‖, with `np.linalg.norm` for both.",
    ),
    solution="""
        def rescaled(weight, change, share):
            size = share * np.linalg.norm(weight)
            return change * size / np.linalg.norm(change)
    """,
    mistakes=(
        (
            "rescaled = lambda weight, change, share: share * change",
            "the updates keep their own sizes so: a change twice as large is still twice as large",
        ),
        (
            "rescaled = lambda weight, change, share: share * change / np.linalg.norm(change)",
            "now all have one norm, but a share of the weight's norm was asked for",
        ),
        (
            """
            def rescaled(weight, change, share):
                values = [np.linalg.norm(matrix, 2) for matrix in (weight, change)]
                return change * share * values[0] / values[1]
            """,
            "`norm(…, 2)` of a matrix is its largest singular value; the Frobenius norm counts all",
        ),
    ),
    grader=grading.Function(
        _changes, label=lambda weight, change, share: f"two 12 × 9 matrices and share {share}"
    ),
    setup="import numpy as np",
    remark="Put it into section 4 with a `share` of your own: which run has most intruders there?",
)
