"""Exercises of lesson 1: rank of an update, singular values, initial values, intruders."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Selection
from qtha_lab.lessons.registry import exercise

exercise(
    "1.1",
    "Two adapters at once",
    difficulty=1,
    minutes=4,
    kind="N",
    answer="largest_rank",
    hints=(
        "In which space do the columns of a product B A lie?",
        "The columns of a sum lie in the span of the columns of both terms.",
        (
            "Write the sum as one product: the columns of both B side by side, the rows of both A"
            " stacked."
        ),
    ),
    ranges={"a": (2, 3, 4), "b": (8, 6, 7, 9)},
    phrases=("$r = {a}$", "$r = {b}$"),
    solution="largest_rank = {a} + {b}",
    mistakes=(
        (
            "largest_rank = {b}",
            (
                "that would need the columns of the smaller update to lie in the span of the larger"
                " one's"
            ),
        ),
        (
            "largest_rank = {a} * {b}",
            "ranks multiply for Kronecker products; here the updates are added",
        ),
        (
            "largest_rank = {b} - {a}",
            "a difference of ranks bounds the sum from below, not from above",
        ),
        (
            "largest_rank = 192",
            "any matrix of this size has at most that; the columns of these two span less",
        ),
    ),
    grader=grading.Number(10),
    remark="rank(X + Y) ≤ rank(X) + rank(Y), reached whenever their spans do not meet.",
)


SCALINGS = {
    "a": "Adam divides a gradient by its size, so a doubled α acts as a doubled rate of B",
    "b": "a doubled rate of all factors also moves A twice as fast; α leaves the steps of A alone",
    "c": "under SGD α enters twice: it scales the gradient of B, and then the product",
    "d": "under SGD the factor of α enters B's gradient and the product: its square is a rate of B",
    "e": "this doubles the rate of A too, and the square for B is missing",
}

exercise(
    "1.2",
    "α twice as large, or the rate?",
    difficulty=2,
    minutes=8,
    kind="X",
    answer="agreeing",
    hints=(
        "Call `update_after` for each letter and subtract it from its run with doubled α.",
        "Under Adam one letter agrees to the rounding error, and under SGD one.",
        "Write s for the scaling. B's gradient holds s, and ΔW = s B A holds it again.",
    ),
    solution='agreeing = "ad"',
    mistakes=(
        ('agreeing = "d"', SCALINGS["a"]),
        ('agreeing = "abcde"', SCALINGS["b"]),
        ('agreeing = "ac"', SCALINGS["c"]),
        ('agreeing = "a"', SCALINGS["d"]),
        ('agreeing = "ade"', SCALINGS["e"]),
    ),
    grader=Selection("ad", SCALINGS),
    remark="α is no capacity: it rescales B's learning rate, by a factor that the optimizer sets.",
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
    "1.3",
    "Singular values of a product, without the product",
    difficulty=3,
    minutes=15,
    kind="F",
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
                first = torch.linalg.qr(B, mode="r").R
                second = torch.linalg.qr(A.T, mode="r").R
                return torch.linalg.svdvals(first @ second.T) ** 2
            """,
            "those are the squares: the eigenvalues of a Gram matrix lack their square root",
        ),
        (
            """
            import torch

            def product_values(B, A):
                first = torch.linalg.qr(B, mode="r").R
                second = torch.linalg.qr(A.T, mode="r").R
                return torch.linalg.svdvals(first @ second)
            """,
            "B A = Q₁ R₁ (Q₂ R₂)ᵀ = Q₁ R₁ R₂ᵀ Q₂ᵀ: the second triangle is transposed",
        ),
        (
            """
            import torch

            def product_values(B, A):
                first = torch.linalg.qr(B, mode="r").R
                second = torch.linalg.qr(A.T, mode="r").R
                return torch.linalg.eigvals(first @ second.T).abs().sort(descending=True).values
            """,
            "eigenvalues are singular values only of a symmetric matrix",
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


STARTS = {
    "a": "the gradient of each factor contains the other: with both at zero, neither ever moves",
    "b": "B = 0 makes ΔW zero, and B's gradient contains A, which is random: B moves at once",
    "c": "A = 0 makes ΔW zero, and A's gradient contains B, which is random: A moves at once",
    "d": "two random factors learn, but they change the model before the first step",
}

exercise(
    "1.4",
    "An adapter that does not learn",
    difficulty=2,
    minutes=6,
    kind="B",
    answer="learning",
    hints=(
        "Run `loss_after(A, B)` for each start and compare with the first loss.",
        "∂L/∂B contains A, and ∂L/∂A contains B.",
        "Which starts have ΔW = 0 and one factor that is not zero?",
    ),
    solution='learning = "bc"',
    mistakes=(
        ('learning = "abc"', STARTS["a"]),
        ('learning = "c"', STARTS["b"]),
        ('learning = "b"', STARTS["c"]),
        ('learning = "bcd"', STARTS["d"]),
    ),
    grader=Selection("bc", STARTS),
    remark="One factor at zero is a start at ΔW = 0. Two factors at zero are a saddle point.",
)

CLAIMS = {
    "a": "a cause needs a control: random changes of the same rank and size have intruders too",
    "b": "the first table holds this, and it names the difference in size",
    "c": "the ceiling depends on rank, so two counts of unequal rank show no merit of either",
    "d": "the random rows of the last table hold this: the count ends near the rank",
    "e": "a random change of equal rank and size is the control that the last table adds",
    "f": "one seed of one model shows no spread, however large a difference looks",
}

exercise(
    "1.5",
    "Sentences about intruders",
    difficulty=2,
    minutes=10,
    kind="E",
    answer="allowed",
    hints=(
        "Ask of each sentence: which row of which table holds it?",
        "Four points count: equal size, the ceiling, a random control of equal rank, seeds.",
        "Three sentences name what was held equal or what was not. Choose those.",
    ),
    solution='allowed = "bde"',
    mistakes=(
        ('allowed = "abde"', CLAIMS["a"]),
        ('allowed = "de"', CLAIMS["b"]),
        ('allowed = "bcde"', CLAIMS["c"]),
        ('allowed = "be"', CLAIMS["d"]),
        ('allowed = "bd"', CLAIMS["e"]),
        ('allowed = "bdef"', CLAIMS["f"]),
    ),
    grader=Selection("bde", CLAIMS),
    remark=(
        "Model answer: counts follow the size of a change and end near its rank; at equal size"
        " and rank a random change has as many. Rubric: size, ceiling, control, seeds."
    ),
)
