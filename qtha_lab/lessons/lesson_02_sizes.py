"""Exercise of lesson 2: size of QTHA against that of LoRA."""

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
    from qtha_lab.tensor_networks.factors import factorise
    from qtha_lab.tensor_networks.mpo import MpoShape

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
    setup="from qtha_lab.tensor_networks.factors import factorise\n"
    "from qtha_lab.tensor_networks.mpo import MpoShape",
    grader=grading.Function(_widths),
    remark="Below this width the published size saves nothing: the waist dominates.",
)
