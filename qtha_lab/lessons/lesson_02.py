"""Exercises of lesson 2: bonds, rank against bond, and digits."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import exercise


def bond_of(matrix, out_dims, in_dims) -> int:
    """Return the bond of a matrix over two cores: the rank after regrouping its digits.

    Args:
        matrix: Matrix to split.
        out_dims: Two factors of its rows.
        in_dims: Two factors of its columns.
    """
    import torch

    legs = torch.as_tensor(matrix, dtype=torch.float64).reshape(*out_dims, *in_dims)
    regrouped = legs.permute(0, 2, 1, 3).reshape(out_dims[0] * in_dims[0], -1)
    return int(torch.linalg.matrix_rank(regrouped, rtol=1e-6))


def _rank(matrix) -> int:
    import torch

    return int(torch.linalg.matrix_rank(torch.as_tensor(matrix, dtype=torch.float64), rtol=1e-6))


def _is_of(size: int):
    return lambda matrix: tuple(matrix.shape) == (size, size)


PAIR = (2, 2)
BOND = {
    1: "this is a product of two smaller matrices: one term suffices",
    2: "two terms suffice, as for a CNOT: rank is not the question, but rank after regrouping",
    4: "this needs as many terms as a swap, the most that fit",
}

exercise(
    "2.1",
    "A matrix with a chosen bond",
    difficulty=2,
    minutes=8,
    kind="C",
    answer="with_bond_three",
    hints=(
        "The bond is the number of terms in W = Σ L ⊗ R, with independent L and independent R.",
        "Four independent 2 × 2 matrices exist, such as the identity and the Pauli matrices.",
        "Add as many products L ⊗ L of different Pauli matrices as the bond shall have terms.",
    ),
    solution="""
        flip = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        sign = torch.diag(torch.tensor([1.0, -1.0]))
        one = torch.eye(2)
        with_bond_three = sum(torch.kron(matrix, matrix) for matrix in (one, flip, sign))
    """,
    mistakes=(
        ("with_bond_three = torch.eye(3)", "a matrix with four rows and four columns is expected"),
        ("with_bond_three = torch.eye(4)", BOND[1]),
        ("with_bond_three = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0]))", BOND[2]),
        ("with_bond_three = torch.eye(4)[[0, 2, 1, 3]]", BOND[4]),
    ),
    setup="import torch",
    grader=Construction(
        (
            (_is_of(4), "a matrix with four rows and four columns is expected"),
            *(
                (lambda matrix, k=k: bond_of(matrix, PAIR, PAIR) != k, reason)
                for k, reason in BOND.items()
            ),
            (lambda matrix: bond_of(matrix, PAIR, PAIR) == 3, "a matrix of zeros has no terms"),
        )
    ),
    remark="A bond counts terms of products, at any rank: this matrix is regular in general.",
)

FOURS = (4, 4)
TWO = {
    "shape": "two matrices of sixteen rows and columns are expected",
    "rank_a": "the first matrix has more than one singular value above zero",
    "bond_a": "the first matrix is a product of product vectors, so its bond is not the largest",
    "rank_b": "the second matrix has not full rank",
    "bond_b": "the second matrix needs more than one term: most matrices do, random ones too",
}

exercise(
    "2.2",
    "Rank and bond, independently",
    difficulty=3,
    minutes=10,
    kind="C",
    answer="two_matrices",
    hints=(
        "For u vᵀ, regrouping gives the Kronecker product of u and v, each folded to 4 × 4.",
        "So choose u and v whose folded forms have full rank, such as the folded identity.",
        "For the second: a product of two regular matrices, such as the identity, is one term.",
    ),
    solution="""
        vector = torch.eye(4).flatten()
        two_matrices = (torch.outer(vector, vector), torch.eye(16))
    """,
    mistakes=(
        ("two_matrices = (torch.eye(4), torch.eye(4))", TWO["shape"]),
        ("two_matrices = (torch.eye(16), torch.eye(16))", TWO["rank_a"]),
        ("two_matrices = (torch.ones(16, 16), torch.eye(16))", TWO["bond_a"]),
        (
            """
            vector = torch.eye(4).flatten()
            two_matrices = (torch.outer(vector, vector), torch.ones(16, 16))
            """,
            TWO["rank_b"],
        ),
        (
            """
            torch.manual_seed(0)
            vector = torch.eye(4).flatten()
            two_matrices = (torch.outer(vector, vector), torch.randn(16, 16))
            """,
            TWO["bond_b"],
        ),
    ),
    setup="import torch",
    grader=Construction(
        (
            (lambda pair: len(pair) == 2 and all(map(_is_of(16), pair)), TWO["shape"]),
            (lambda pair: _rank(pair[0]) == 1, TWO["rank_a"]),
            (lambda pair: bond_of(pair[0], FOURS, FOURS) == 16, TWO["bond_a"]),
            (lambda pair: _rank(pair[1]) == 16, TWO["rank_b"]),
            (lambda pair: bond_of(pair[1], FOURS, FOURS) == 1, TWO["bond_b"]),
        )
    ),
    remark="Rank separates rows from columns, a bond the first digits from the last.",
)

exercise(
    "2.3",
    "Cases that a chain distinguishes",
    difficulty=2,
    minutes=6,
    kind="N",
    answer="n_cases",
    ranges={"w": (40, 20, 25, 30, 50, 60)},
    phrases=("/{w}}",),
    hints=(
        "Read the digits of i and j from the left. What must be known before the next digit?",
        "Until a digit differs, the sign of i - j is open. Afterwards it is known.",
        "All digits equal so far, i larger, or j larger. Does the number of digits matter?",
    ),
    solution="n_cases = (3, 3)",
    mistakes=(
        ("n_cases = (2, 2)", "the sign of i - j is one of two only after a digit differed"),
        ("n_cases = (10, 10)", "the value of a digit enters its factor at once and is forgotten"),
        ("n_cases = (4, 7)", "the bond does not grow with the digits: each case stays what it is"),
        ("n_cases = (1, 1)", "one case would make the matrix a product over the digits"),
    ),
    grader=grading.WholeNumbers((3, 3)),
    remark="A Gaussian has a mixed term of the digits in its exponent, so it has no such number.",
)
