"""Answers of readers that no exercise declares: right ones in other ways, and wrong ones.

Kept apart from the exercises' files. An exercise is named by its title, since numbers move.
`RIGHT` holds code that must be accepted. `WRONG` holds code and a part of the reason that is true
of it; an empty reason means that none is expected, so that no reason but the values may be shown.
"""

RIGHT: dict[str, tuple[str, ...]] = {
    "Singular values of a product, without the product": (
        """
        import numpy as np

        def product_values(B, A):
            left, right = (np.linalg.cholesky(m @ m.T) for m in (B.numpy().T, A.numpy()))
            return np.linalg.svd(left.T @ right, compute_uv=False)
        """,
        """
        import torch

        def product_values(B, A):
            values = torch.linalg.eigvals(B.T @ B @ A @ A.T).real
            return values.clamp(min=0).sqrt().sort(descending=True).values
        """,
        """
        import torch

        def product_values(B, A):
            _, s, v = torch.linalg.svd(B, full_matrices=False)
            return torch.linalg.svdvals(torch.diag(s) @ v @ A)
        """,
        """
        import torch

        def product_values(B, A):
            q, r = torch.linalg.qr(B)
            return torch.linalg.svdvals(r @ A).tolist()
        """,
    ),
    "A gradient from two runs": (
        "gradient_ry = lambda f, t: (f(t + 1.0) - f(t - 1.0)) / (2 * __import__('math').sin(1.0))",
        """
        import math

        def gradient_ry(f, t):
            return 0.5 * (f(t + math.pi / 2) - f(t + 3 * math.pi / 2))
        """,
        """
        import torch

        def gradient_ry(f, t):
            return torch.tensor((f(t + torch.pi / 2) - f(t - torch.pi / 2)) / 2)
        """,
    ),
    "A gradient of a controlled rotation": (
        """
        import numpy as np

        def gradient_crz(f, t):
            places = 4 * np.pi * np.arange(8) / 8
            values = [f(t + s) for s in places]
            halves = np.fft.fft(values) / 8
            return -sum(k * np.imag(halves[k]) for k in (1, 2))
        """,
        """
        import numpy as np

        def gradient_crz(f, t):
            a, b = np.pi / 2, np.pi
            rows = [[2 * np.sin(s), 2 * np.sin(s / 2)] for s in (a, b)]
            one, half = np.linalg.solve(rows, [f(t + s) - f(t - s) for s in (a, b)])
            return one + half / 2
        """,
    ),
    "The largest possible rank": (
        "largest_ranks = [4, 10, 16]",
        "largest_ranks = (4.0, 4 + 6, 2**4)",
        "import numpy as np\nlargest_ranks = np.array([4, 10, 16])",
    ),
    "The non-linear share": (
        """
        import numpy as np

        def nonlinear_share(x, y):
            x, y = x - x.mean(axis=0), y - y.mean(axis=0)
            rest = y - x @ (np.linalg.pinv(x) @ y)
            return np.linalg.norm(rest) ** 2 / np.linalg.norm(y) ** 2
        """,
        """
        import torch

        def nonlinear_share(x, y):
            x = torch.cat([torch.tensor(x), torch.ones(len(x), 1)], dim=1)
            y = torch.tensor(y)
            return (y - x @ torch.linalg.lstsq(x, y).solution).square().sum() / y.square().sum()
        """,
        """
        import numpy as np

        def nonlinear_share(x, y):
            q = np.linalg.qr(np.hstack([x, np.ones((len(x), 1))]))[0]
            return 1 - ((q.T @ y) ** 2).sum() / (y**2).sum()
        """,
    ),
    "Token dependence": (
        """
        import numpy as np

        def token_dependence(J):
            return 1 - len(J) * np.sum(J.mean(axis=0) ** 2) / np.sum(J**2)
        """,
        """
        import numpy as np

        def token_dependence(J):
            return J.var(axis=0).sum() / np.mean(J**2, axis=0).sum()
        """,
        """
        import torch

        def token_dependence(J):
            J = torch.tensor(J)
            return ((J - J.mean(dim=0, keepdim=True)) ** 2).sum().item() / (J**2).sum().item()
        """,
    ),
    "Entropy of an entangled pair": (
        """
        import numpy as np

        def pair_entropy(t):
            p = np.clip([np.cos(t / 2) ** 2, np.sin(t / 2) ** 2], 1e-300, 1)
            return -(p * np.log(p)).sum() / np.log(2)
        """,
        """
        import torch

        def pair_entropy(t):
            p = torch.tensor([(1 + np.cos(t)) / 2, (1 - np.cos(t)) / 2])
            return torch.special.entr(p).sum() / np.log(2)
        """,
        """
        import math

        def pair_entropy(t):
            p = math.cos(t / 2) ** 2
            return sum(q * math.log2(1 / q) for q in (p, 1 - p) if q > 1e-15)
        """,
    ),
}

WRONG: dict[str, tuple[tuple[str, str], ...]] = {
    "Singular values of a product, without the product": (
        (
            """
            import torch

            def product_values(B, A):
                r = torch.linalg.qr(B).R @ torch.linalg.qr(A.T).R.T
                return torch.linalg.svdvals(r) ** 2
            """,
            "square",
        ),
        (
            """
            import torch

            def product_values(B, A):
                r = torch.linalg.qr(B).R @ torch.linalg.qr(A.T).R.T
                return torch.linalg.svdvals(r).flip(0)
            """,
            "opposite order",
        ),
        (
            """
            import torch

            def product_values(B, A):
                r = torch.linalg.qr(B).R @ torch.linalg.qr(A.T).R
                return torch.linalg.svdvals(r)
            """,
            "transposed",
        ),
        (
            """
            import torch

            def product_values(B, A):
                r = torch.linalg.qr(B).R @ torch.linalg.qr(A.T).R.T
                values = torch.linalg.svdvals(r)
                return values / values.norm()
            """,
            "length one",
        ),
        (
            """
            import torch

            def product_values(B, A):
                r = torch.linalg.qr(B).R @ torch.linalg.qr(A.T).R.T
                return r.diagonal()
            """,
            "",
        ),
    ),
    "A gradient from two runs": (
        ("gradient_ry = lambda f, t: (f(t - np.pi / 2) - f(t + np.pi / 2)) / 2", "sign"),
        ("gradient_ry = lambda f, t: (f(t + np.pi / 2) - f(t - np.pi / 2)) / 4", "half as large"),
        ("gradient_ry = lambda f, t: (f(t + np.pi) - f(t - np.pi)) / 2", ""),
        ("gradient_ry = lambda f, t: (f(t + np.pi / 4) - f(t - np.pi / 4)) / 2", ""),
        (
            "gradient_ry = lambda f, t: "
            "(f(np.radians(t) + np.pi / 2) - f(np.radians(t) - np.pi / 2)) / 2",
            "from degrees to radians",
        ),
        ("gradient_ry = lambda f, t: (f(-t + np.pi / 2) - f(-t - np.pi / 2)) / 2", "opposite sign"),
    ),
    "The largest possible rank": (
        ("largest_ranks = (16, 10, 4)", "opposite order"),
        ("largest_ranks = (8, 20, 32)", "twice"),
        ("largest_ranks = (5, 11, 17)", "larger than the right value by one"),
        ("largest_ranks = (4, 8, 16)", "2 of the 3 numbers are right"),
        ("largest_ranks = (2, 10, 8)", "1 of the 3 numbers is right"),
    ),
    "The non-linear share": (
        (
            """
            import numpy as np

            def nonlinear_share(x, y):
                x = np.column_stack([x, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return 100 * ((y - x @ W) ** 2).sum() / (y**2).sum()
            """,
            "per cent",
        ),
        (
            """
            import numpy as np

            def nonlinear_share(x, y):
                x = np.column_stack([x, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return (y**2).sum() / ((y - x @ W) ** 2).sum()
            """,
            "reciprocal",
        ),
        (
            """
            import numpy as np

            def nonlinear_share(x, y):
                x = np.column_stack([x, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return -((y - x @ W) ** 2).sum() / (y**2).sum()
            """,
            "sign",
        ),
        (
            """
            import numpy as np

            def nonlinear_share(x, y):
                y, x = x, np.column_stack([y, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return ((y - x @ W) ** 2).sum() / (y**2).sum()
            """,
            "exchanged",
        ),
    ),
    "Token dependence": (
        (
            "token_dependence = lambda J: 1 - ((J - J.mean(0)) ** 2).sum() / (J**2).sum()",
            "one minus",
        ),
        (
            "token_dependence = lambda J: (((J - J.mean(0)) ** 2).sum() / (J**2).sum()) ** 0.5",
            "root",
        ),
        ("token_dependence = lambda J: 100 * ((J - J.mean(0)) ** 2).sum() / (J**2).sum()", "cent"),
        (
            "token_dependence = lambda J: ((J - J.mean(1, keepdims=True)) ** 2).sum() / (J**2).sum()",
            "mean over the wrong axis",
        ),
        (
            "token_dependence = lambda J: ((J - J.mean()) ** 2).sum() / (J**2).sum()",
            "one mean over all entries",
        ),
        ("token_dependence = lambda J: ((J - J[0]) ** 2).sum() / (J**2).sum()", ""),
    ),
    "Entropy of an entangled pair": (
        (
            """
            def pair_entropy(t):
                p = np.cos(t / 2) ** 2
                return sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
            """,
            "sign",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t / 2) ** 2
                return -sum(q * np.log(q) for q in (p, 1 - p) if q > 0)
            """,
            "nats",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t) ** 2
                return -sum(q * np.log2(q) for q in (p, 1 - p) if q > 1e-12)
            """,
            "half the angle",
        ),
        (
            """
            def pair_entropy(t):
                t = np.radians(t)
                p = np.cos(t / 2) ** 2
                return -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
            """,
            "degrees",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t / 2) ** 2
                return -2 * sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
            """,
            "one entropy",
        ),
        (
            """
            def pair_entropy(t):
                p = np.cos(t / 2) ** 2
                return -p * np.log2(p)
            """,
            "",
        ),
    ),
}
