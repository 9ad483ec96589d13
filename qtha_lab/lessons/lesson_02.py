"""Exercises of lesson 2: bonds, their entropy, operator costs and approximation errors."""

import math

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise

exercise(
    "2.1",
    "Bond dimension of a swap",
    difficulty=1,
    minutes=5,
    answer="bond_dim",
    hints=(
        "A bond is the rank of a matrix whose rows are all that lies on its left.",
        "Regroup the entry W[j₁ j₂, i₁ i₂] as a matrix of rows (j₁, i₁) and columns (j₂, i₂).",
        (
            "SWAP sends i₁ i₂ to j₁ j₂ = i₂ i₁: each of the four rows (j₁, i₁) meets a column of"
            " its own."
        ),
    ),
    solution="""
        import torch

        swap = torch.eye(4)[[0, 2, 1, 3]]
        regrouped = swap.reshape(2, 2, 2, 2).permute(0, 2, 1, 3).reshape(4, 4)
        bond_dim = int(torch.linalg.matrix_rank(regrouped))
    """,
    mistakes=(
        (
            "bond_dim = 1",
            "that would make the swap a Kronecker product, each site acting for itself",
        ),
        ("bond_dim = 2", "that is a CNOT: two terms suffice there"),
        (
            "bond_dim = 16",
            "that counts the entries of the regrouped matrix; a bond is at most its smaller side",
        ),
    ),
    grader=grading.Number(4),
    remark="SWAP = (I⊗I + X⊗X + Y⊗Y + Z⊗Z) / 2: four terms of one size, the most that fit.",
)


exercise(
    "2.2",
    "Count an operator's parameters",
    difficulty=1,
    minutes=5,
    answer="count",
    hints=(
        "How many entries has a tensor with four legs of known sizes?",
        (
            "A core has four legs: output, right bond, left bond, input. Its entries are their"
            " product."
        ),
        "At the two ends the outer bond is 1: put a 1 before and after the bonds.",
    ),
    solution="""
        def count(in_dims, out_dims, bonds):
            edges = [1, *bonds, 1]
            return sum(
                o * right * left * i
                for i, o, left, right in zip(in_dims, out_dims, edges, edges[1:])
            )
    """,
    mistakes=(
        (
            (
                "count = lambda in_dims, out_dims, bonds: sum(i * o for i, o in zip(in_dims,"
                " out_dims))"
            ),
            "that counts cores without bonds, as if each were a plain matrix",
        ),
        (
            """
            def count(in_dims, out_dims, bonds):
                edges = [1, *bonds]
                return sum(o * i * b for i, o, b in zip(in_dims, out_dims, edges))
            """,
            "each core has a bond on its left and one on its right: both multiply",
        ),
    ),
    grader=grading.Function(
        lambda: [
            (((2, 3), (5, 7), (4,)), 2 * 5 * 4 + 4 * 3 * 7),
            (((8, 8, 8, 7), (4, 4, 4, 4), (8, 8, 8)), 4576),  # 256 + 2,048 + 2,048 + 224
        ]
    ),
    remark=(
        "The second case is M_A of QTHA on a layer of 3,584 inputs: 4,576 against 917,504 dense."
    ),
)


def _bonds():
    uneven = 2 - 0.75 * math.log2(3)  # p = 3/4, 1/4: -(3/4) log₂(3/4) - (1/4) log₂(1/4)
    return [(([5.0, 0.0],), 0), (([2.0, 2.0],), 1), (([1.0] * 8,), 3), (([3**0.5, 1.0],), uneven)]


exercise(
    "2.3",
    "Entanglement entropy of a bond",
    difficulty=2,
    minutes=8,
    answer="entropy_bits",
    hints=(
        "An entropy needs shares that add up to 1: shares of what?",
        "Unlike in lesson 1, the shares are those of the squares: p = σ² / Σσ².",
        "Bits mean the logarithm of base 2; leave zeros out.",
    ),
    solution="""
        import numpy as np

        def entropy_bits(values):
            squares = np.asarray(values, dtype=float) ** 2
            shares = squares[squares > 0] / squares.sum()
            return -(shares * np.log2(shares)).sum()
    """,
    mistakes=(
        (
            """
            import numpy as np

            def entropy_bits(values):
                shares = np.asarray(values) / np.sum(values)
                return -(shares * np.log2(shares + 1e-300)).sum()
            """,
            "the shares are those of the values; across a bond the squares are shared out",
        ),
        (
            """
            import numpy as np

            def entropy_bits(values):
                shares = np.square(values) / np.sum(np.square(values))
                return -(shares * np.log(shares + 1e-300)).sum()
            """,
            "that is in nats: bits take the logarithm of base 2",
        ),
    ),
    grader=grading.Function(_bonds),
    remark="A bond of dimension χ holds log₂ χ bits at most. It is `Bond.entropy_bits`.",
)

exercise(
    "2.4",
    "Where the 76 % come from",
    difficulty=2,
    minutes=10,
    answer="share_saved",
    hints=(
        "LoRA: r (in + out) for each of the two layers.",
        "QTHA: P(in → 256) + P(256 → out) + 512 r + 2 r² + 4 r L for each; P is `n_parameters`.",
        (
            "Factors: 4096 = 8·8·8·8, 1024 = 8·8·4·4, 256 = 4·4·4·4; `mpo.factorise(size, 4)` knows"
            " them."
        ),
    ),
    solution="""
        from qtha_lab.tensor_networks.mpo import MpoShape, factorise

        def P(n_in, n_out):
            return MpoShape.uniform(factorise(n_in, 4), factorise(n_out, 4), 8).n_parameters

        def qtha_size(n_in, n_out, r, L):
            return P(n_in, 256) + P(256, n_out) + 512 * r + 2 * r**2 + 4 * r * L

        def lora_size(n_in, n_out, r):
            return r * (n_in + n_out)

        llama = [(4096, 4096), (4096, 1024)]
        share_saved = 1 - sum(qtha_size(*one, 8, 8) for one in llama) / sum(
            lora_size(*one, 8) for one in llama
        )
    """,
    mistakes=(
        ("share_saved = 26240 / 106496", "that is what is left; the saving is the rest"),
        (
            "share_saved = 1 - 26240 / 65536",
            "LoRA was counted on q_proj alone; v_proj has its A and B too",
        ),
        ("share_saved = 76", "that is the figure of the 7B model at r = 10, and in per cent"),
        (
            "share_saved = 100 * (1 - 26240 / 106496)",
            "give it as a share of one, not in per cent",
        ),
        (
            "share_saved = 1 - 25792 / 106496",
            "that is with one layer of the circuit; here L = r",
        ),
    ),
    grader=grading.Number(1 - 26240 / 106496, rtol=1e-3),  # 8 (8192 + 5120) = 106,496
    remark=(
        "75.4 %; the circuits hold 512 of 26,240 parameters. The saving is the tensor networks'."
    ),
)


def _operators():
    import torch

    random = torch.Generator().manual_seed(0)
    cnot = torch.eye(4, dtype=torch.float64)[[0, 1, 3, 2]]
    yield (cnot, (2, 2), (2, 2), 1), math.sqrt(0.5)  # two terms of one size, one of them lost
    for out_dims, in_dims in (((2, 3), (5, 4)), ((4, 2), (3, 3))):
        matrix = _sum_of_products(out_dims, in_dims, (3, 2, 1), random)
        yield (matrix, out_dims, in_dims, 1), math.sqrt(5 / 14)  # 9 of 9 + 4 + 1 remains
        yield (matrix, out_dims, in_dims, 2), math.sqrt(1 / 14)


def _sum_of_products(out_dims, in_dims, sizes, random):
    """Return Σ size · L ⊗ R with orthonormal L and orthonormal R."""
    import torch

    left, right = (
        torch.linalg.qr(torch.randn(o * i, len(sizes), generator=random, dtype=torch.float64)).Q
        for o, i in zip(out_dims, in_dims, strict=True)
    )
    return sum(
        size * torch.kron(L.reshape(out_dims[0], -1), R.reshape(out_dims[1], -1))
        for size, L, R in zip(sizes, left.T, right.T, strict=True)
    )


def _sizes(matrix, out_dims, in_dims, bond) -> str:
    return f"a {len(matrix)} × {matrix.shape[1]} matrix, {out_dims} and {in_dims}, bond {bond}"


exercise(
    "2.5",
    "The best operator of two cores",
    difficulty=3,
    minutes=15,
    answer="best_error",
    hints=(
        "Cut the rows into (o₁, o₂) and the columns into (i₁, i₂): reshape to four axes.",
        (
            "Bring o₁ and i₁ together, o₂ and i₂ together: permute(0, 2, 1, 3), then reshape to a"
            " matrix."
        ),
        (
            "Eckart and Young: the error is the norm of the singular values beyond `bond`, over"
            " that of all."
        ),
    ),
    solution="""
        import torch

        def best_error(matrix, out_dims, in_dims, bond):
            (o1, o2), (i1, i2) = out_dims, in_dims
            legs = matrix.reshape(o1, o2, i1, i2).permute(0, 2, 1, 3)
            values = torch.linalg.svdvals(legs.reshape(o1 * i1, o2 * i2))
            return float(values[bond:].norm() / values.norm())
    """,
    mistakes=(
        (
            """
            import torch

            def best_error(matrix, out_dims, in_dims, bond):
                values = torch.linalg.svdvals(matrix)
                return float(values[bond:].norm() / values.norm())
            """,
            (
                "that cuts rows from columns, as LoRA does; a bond cuts one pair of digits from the"
                " other"
            ),
        ),
        (
            """
            import torch

            def best_error(matrix, out_dims, in_dims, bond):
                (o1, o2), (i1, i2) = out_dims, in_dims
                values = torch.linalg.svdvals(matrix.reshape(o1 * i1, o2 * i2))
                return float(values[bond:].norm() / values.norm())
            """,
            "a reshape alone leaves the digits in the order o₁ o₂ i₁ i₂: bring i₁ beside o₁ first",
        ),
    ),
    grader=grading.Function(_operators, label=_sizes),
    remark="Regroup, then cut: TT-SVD does this once per bond.",
)
