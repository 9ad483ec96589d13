"""Exercises of lesson 2: size of QTHA, and truncation errors."""

import math

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise


def qtha_size(d: int, r: int, bond: int, n_layers: int = 1) -> int:
    """Return the parameters of QTHA with a waist of 256 on a square layer.

    Args:
        d: Width of the layer.
        r: Size of the bottleneck.
        bond: Bond dimension of both networks.
        n_layers: Layers of the circuit.
    """
    from qtha_lab.tensor_networks.mpo import MpoShape, factorise

    down = MpoShape.uniform(factorise(d, 4), factorise(256, 4), bond).n_parameters
    up = MpoShape.uniform(factorise(256, 4), factorise(d, 4), bond).n_parameters
    return down + up + 512 * r + 2 * r**2 + 4 * r * n_layers


def _widths():
    for r, bond in ((4, 8), (8, 8), (16, 4)):
        yield (r, bond), next(d for d in range(64, 99_999, 64) if qtha_size(d, r, bond) < 2 * r * d)


exercise(
    "2.4",
    "The width from which QTHA is smaller",
    difficulty=2,
    minutes=12,
    kind="F",
    answer="smallest_width",
    hints=(
        "LoRA trains 2 r d on a square layer of width d.",
        "QTHA trains P(d, 256) + P(256, d) + 512 r + 2 r² + 4 r at one circuit layer.",
        "`MpoShape.uniform(factorise(d, 4), factorise(256, 4), bond).n_parameters` is P(d, 256).",
    ),
    solution="""
        def smallest_width(r, bond):
            def P(n_in, n_out):
                return MpoShape.uniform(factorise(n_in, 4), factorise(n_out, 4), bond).n_parameters

            d = 64
            while P(d, 256) + P(256, d) + 512 * r + 2 * r**2 + 4 * r >= 2 * r * d:
                d += 64
            return d
    """,
    mistakes=(
        (
            """
            def smallest_width(r, bond):
                def P(n_in, n_out):
                    dims = factorise(n_in, 4), factorise(n_out, 4)
                    return MpoShape.uniform(*dims, bond).n_parameters

                d = 64
                while P(d, 256) + 512 * r + 2 * r**2 + 4 * r >= 2 * r * d:
                    d += 64
                return d
            """,
            "the second tensor network, from the waist to the output, is missing",
        ),
        (
            """
            def smallest_width(r, bond):
                def P(n_in, n_out):
                    dims = factorise(n_in, 4), factorise(n_out, 4)
                    return MpoShape.uniform(*dims, bond).n_parameters

                d = 64
                while P(d, 256) + P(256, d) + 2 * r**2 + 4 * r >= 2 * r * d:
                    d += 64
                return d
            """,
            "the two thin matrices at the waist, A and B, are missing",
        ),
        (
            """
            def smallest_width(r, bond):
                def P(n_in, n_out):
                    dims = factorise(n_in, 4), factorise(n_out, 4)
                    return MpoShape.uniform(*dims, bond).n_parameters

                d = 64
                while P(d, 256) + P(256, d) + 512 * r + 2 * r**2 + 4 * r >= r * d:
                    d += 64
                return d
            """,
            "LoRA has two factors, each with d entries per unit of rank",
        ),
        (
            "smallest_width = lambda r, bond: 3584",
            "that is the width of one model; it depends on r and bond",
        ),
    ),
    setup="from qtha_lab.tensor_networks.mpo import MpoShape, factorise",
    grader=grading.Function(_widths),
    remark="Below this width the published size saves nothing: the waist dominates.",
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
    minutes=12,
    kind="F",
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
        (
            """
            import torch

            def best_error(matrix, out_dims, in_dims, bond):
                (o1, o2), (i1, i2) = out_dims, in_dims
                legs = matrix.reshape(o1, o2, i1, i2).permute(0, 2, 1, 3)
                values = torch.linalg.svdvals(legs.reshape(o1 * i1, o2 * i2))
                return float(values[bond:].square().sum() / values.square().sum())
            """,
            "that is a share of squares; a relative error is a ratio of norms, its root",
        ),
        (
            """
            import torch

            def best_error(matrix, out_dims, in_dims, bond):
                (o1, o2), (i1, i2) = out_dims, in_dims
                legs = matrix.reshape(o1, o2, i1, i2).permute(0, 2, 1, 3)
                values = torch.linalg.svdvals(legs.reshape(o1 * i1, o2 * i2))
                return float(values[bond:].norm())
            """,
            "that is the absolute error; divide by the norm of the matrix",
        ),
    ),
    grader=grading.Function(_operators, label=_sizes),
    remark="Regroup, then cut: TT-SVD does this once per bond.",
)
