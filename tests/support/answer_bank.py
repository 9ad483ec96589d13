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

# lessons that came later

WIDTH = """
def smallest_width(r, bond):
    def P(n_in, n_out):
        return MpoShape.uniform(factorise(n_in, 4), factorise(n_out, 4), bond).n_parameters

    d = 64
    while P(d, 256) + P(256, d) + 512 * r + 2 * r**2 + 4 * r >= 2 * r * d:
        d += 64
    return {}
"""
ROTATE = """
def rotate(state, wire, angle):
    zero, one = state.movedim(wire, -1).unbind(-1)
    c, s = np.cos({0}), np.sin({0})
    return torch.stack([c * zero - s * one, s * zero + c * one], dim=wire){1}
"""
WAVES = """
def coefficients(f):
    x = 2 * np.pi * np.arange(16) / 16
    y = np.array([f(angle) for angle in x])
    waves = [w(k * x) for k in (1, 2) for w in (np.cos, np.sin)]
    return {}
"""
GRADIENTS = """
def all_gradients(f, angles):
    shifts = np.pi / 2 * np.eye(len(angles))
    return {}
"""
INTERVAL = """
def interval(first, second):
    gaps = first - second
    (S, I), mean = gaps.shape, gaps.mean()
    rest = gaps - gaps.mean(1, keepdims=True) - gaps.mean(0) + mean
    ms_rest = (rest**2).sum() / ((S - 1) * (I - 1))
    ms_seeds, ms_rows = I * gaps.mean(1).var(ddof=1), S * gaps.mean(0).var(ddof=1)
    t = [stats.t.ppf(0.975, n - 1) for n in (S, I)]
    half = np.sqrt((t[0]**2 * ms_seeds + t[1]**2 * max(ms_rows - ms_rest, 0)) / (S * I))
    return {}
"""
RIGHT |= {
    "Two adapters at once": ("largest_rank = 10.0", "largest_rank = int('10')"),
    "A matrix with a chosen bond": (
        "with_bond_three = torch.eye(4)[[0, 2, 1, 3]] - torch.kron(torch.eye(2), torch.eye(2)) / 2",
        "with_bond_three = sum(torch.outer(v, v).reshape(2, 2, 2, 2).permute(0, 1, 2, 3)"
        ".permute(0, 2, 1, 3).reshape(4, 4) for v in torch.eye(4)[:3])",
    ),
    "Means behind a CNOT": ("import math\nmean_of_target = math.cos(0.7)",),
    "A simulator that swaps its wires": (
        """
        def rotate(state, wire, angle):
            c, s = np.cos(angle / 2), np.sin(angle / 2)
            gate = torch.tensor([[c, -s], [s, c]]).to(state)
            return torch.tensordot(gate, state, dims=([1], [wire])).movedim(0, wire)
        """,
        """
        def rotate(state, wire, angle):
            c, s = np.cos(angle / 2), np.sin(angle / 2)
            flipped = state.flip(wire)
            sign = torch.tensor([-1.0, 1.0]).to(state)
            shape = [2 if k == wire else 1 for k in range(state.ndim)]
            return c * state + s * flipped * sign.reshape(shape)
        """,
    ),
    "One qubit in one line": (
        "one_qubit = lambda theta, x, phi: torch.sin(theta + x + phi + torch.pi / 2)",
        "one_qubit = lambda a, b, c: 2 * torch.cos((a + b + c) / 2) ** 2 - 1",
    ),
    "Highest frequency": ("frequency = 6.0", "frequency = sum([2, 2, 2])"),
    "Coefficients of a read-out": (
        WAVES.format("np.array([y.mean(), *(2 * (y * w).mean() for w in waves)])"),
        WAVES.format("np.linalg.lstsq(np.stack([np.ones(16), *waves], 1), y, rcond=None)[0]"),
    ),
    "Circuit runs of one training step": ("n_runs = 225 * 1024 * 8", "n_runs = 1_843_200.0"),
    "A loop that shifts a shared list": (
        GRADIENTS.format("[(f(list(angles + s)) - f(list(angles - s))) / 2 for s in shifts]"),
    ),
    "A paired interval over seeds and rows": (
        INTERVAL.format("[mean, mean - half, mean + half]"),
        INTERVAL.format("np.array([0, -1, 1]) * half + mean"),
    ),
}
WRONG |= {
    "Two adapters at once": (
        ("largest_rank = 20", "twice"),
        ("largest_rank = 11", "by one"),
        ("largest_rank = 5", "half"),
        ("largest_rank = -10", "sign"),
    ),
    "Cases that a chain distinguishes": (
        ("n_cases = (3, 6)", "1 of the 2 numbers is right"),
        ("n_cases = (4, 4)", "by one"),
        ("n_cases = (6, 6)", "twice"),
    ),
    "The width from which QTHA is smaller": (
        (WIDTH.format("d // 2"), "half"),
        (WIDTH.format("2 * d"), "twice"),
        (WIDTH.format("d - 64"), ""),
        (WIDTH.format("-d"), "sign"),
        (WIDTH.replace("r, bond", "bond, r").format("d"), "exchanged"),
    ),
    "Means behind a CNOT": (
        ("mean_of_target = -np.cos(0.7)", "sign"),
        ("mean_of_target = 2 * np.cos(0.7)", "twice"),
        ("mean_of_target = np.cos(0.7) ** 2", "square"),
        ("mean_of_target = 1 - np.cos(0.7)", "one minus"),
        ("mean_of_target = np.cos(1.4)", ""),
    ),
    "A simulator that swaps its wires": (
        (ROTATE.format("angle / 2", " / 2"), "half"),
        (ROTATE.format("-angle / 2", ""), "sign"),
        (ROTATE.format("np.radians(angle) / 2", ""), "degrees"),
        (ROTATE.format("angle / 4", ""), "divided by two"),
    ),
    "One qubit in one line": (
        ("one_qubit = lambda theta, x, phi: -torch.cos(theta + x + phi)", "sign"),
        ("one_qubit = lambda theta, x, phi: torch.cos(theta - x + phi)", "opposite sign"),
        ("one_qubit = lambda theta, x, phi: torch.cos(theta + 2 * x + phi)", "by two"),
        ("one_qubit = lambda theta, x, phi: torch.sin(theta + x + phi)", ""),
        ("one_qubit = lambda theta, x, phi: torch.cos(theta + x)", ""),
        ("one_qubit = lambda theta, x, phi: 2 * torch.cos(theta + x + phi)", "twice"),
    ),
    "Highest frequency": (
        ("frequency = 12", "twice"),
        ("frequency = 7", "by one"),
        ("frequency = 36", "square"),
        ("frequency = 5", "by one"),
    ),
    "Coefficients of a read-out": (
        (WAVES.format("[-y.mean(), *(-2 * (y * w).mean() for w in waves)]"), "sign"),
        (WAVES.format("[2 * y.mean(), *(4 * (y * w).mean() for w in waves)]"), "twice"),
        (WAVES.format("[*(2 * (y * w).mean() for w in waves), y.mean()][::-1]"), ""),
        (WAVES.format("[y.mean(), *(2 * (y * w).mean() for w in waves)][::-1]"), "opposite order"),
        (WAVES.format("[y.sum(), *(2 * (y * w).sum() for w in waves)]"), ""),
    ),
    "Circuit runs of one training step": (
        ("n_runs = 2 * 225 * 1024 * 8", "twice"),
        ("n_runs = 225 * 1024 * 8 - 1", "by one"),
        ("n_runs = 225 * 1024", ""),
    ),
    "A loop that shifts a shared list": (
        (GRADIENTS.format("[(f(angles - s) - f(angles + s)) / 2 for s in shifts]"), "sign"),
        (GRADIENTS.format("[(f(angles + s) - f(angles - s)) / 4 for s in shifts]"), "half"),
        (GRADIENTS.format("[(f(angles + s) - f(angles - s)) / 2 for s in shifts][::-1]"), "order"),
        (GRADIENTS.format("[(f(angles + s) - f(angles - s)) / 2 for s in 2 * shifts]"), ""),
    ),
    "Best of a few trials": (
        ("best_of_few = 2 * 4.20431640625", "twice"),
        ("best_of_few = -4.20431640625", "sign"),
        ("best_of_few = 4.25", ""),
        ("best_of_few = 1 - 4.20431640625", "one minus"),
        ("best_of_few = 5.20431640625", "by one"),
    ),
    "A paired interval over seeds and rows": (
        (INTERVAL.format("-mean, -mean - half, -mean + half"), "exchanged"),
        (INTERVAL.format("mean, mean + half, mean - half"), ""),
        (INTERVAL.format("mean - half, mean, mean + half"), "ascending order"),
        (INTERVAL.format("2 * mean, 2 * (mean - half), 2 * (mean + half)"), "twice"),
    ),
    "Seeds for a hundredth of a nat": (
        ("n_seeds = -96", "sign"),
        ("n_seeds = 1 / 96", "reciprocal"),
        ("n_seeds = 48", "half"),
        ("n_seeds = 192", "twice"),
        ("n_seeds = 20", ""),
    ),
}

# the tour, and lessons 10 to 12

LETTERS = {
    "needed_runs": ("Three runs before a claim", ["bca", "a, b, c"]),
    "may_be_printed": ("A ranking for a paper", ["cab", ("a", "b", "c")]),
    "would_show": ("Three verdicts that are not shown", ["c b a"]),
    "can_be_said": ("What can be learnt away?", ["a;b;e"]),
    "faults": ("Faults of a chart and its caption", [list("edcba")]),
}
WRONG_LETTERS = {
    "needed_runs": [("ad", "own control"), ("cg", "equal size"), ("abf", "one seed does not")],
    "may_be_printed": [("abe", "not fitted"), ("bcd", "measurement that can"), ("abcef", "500")],
    "would_show": [("f", "interval of zero"), ("abd", "0.999"), ("acf", "no arm reaches")],
    "can_be_said": [("abcd", "from token to token"), ("e", "W_q multiplies"), ("abd", "new at")],
    "faults": [("abcg", "the linear path"), ("g", "two ticks"), ("abcdefg", "number of test rows")],
}
QPA = 39_616
CODES = "codes = ({})"
CHIP = "deepest = {{'topology': '{}', 'n_qubits': {}, 'cz_error': 0.02, 'n_layers': {}}}"
BAR = (
    "same_size = {{'model': '{}', 'r': {}, 'bond_dim': 3, 'n_layers': 4, 'lora_r': 2, 'waist': {}}}"
)
PLAN = "from dataclasses import replace\nregistered = ({}, {}, {!r})"
ALT = (
    "alt_text = f'{} of twenty seeds: {{lora_gap.low:.2f}} to {{lora_gap.high:.2f}} nat. {}'",
    "alt_text = f'{} {{lora_gap.low:.3f}} to {{lora_gap.high:.3f}}, {}'",
)
ENTRY = "table_entry = ({}, {!r}, {!r})"
ANY_NUMBER = (("2 * {}", "twice"), ("-{}", "sign"), ("{} / 2", "half"))
NUMBERS = {
    "Share of the numbers that is quantum": ("quantum_share", "0.002976"),
    "A cut weight in the toy": ("cut_loss", "4.4098"),
}

RIGHT |= {
    title: tuple(f"{name} = {answer!r}" for answer in answers)
    for name, (title, answers) in LETTERS.items()
} | {
    "Share of the numbers that is quantum": ("quantum_share = 0.003",),
    "A waist of equal size": (BAR.format("tiny", 4, 16),),
    "A cut weight in the toy": ("cut_loss = 4.41", "cut_loss = 4.45"),
    "Best of a few trials": ("best_of_few = 4.2043",),
    "Killed and resumed": ("two_runs = [run.path for run in recorded_pair()]",),
    "Tokens until the bounds meet": ("enough_tokens = 500.0", "enough_tokens = 700"),
    "Who merges, and who is bound by r?": ("codes = [3, 1, 2, 1, 3, 3, 1, 1]",),
    "Trained and generated numbers": (f"numbers_of_qpa = [{QPA}, 2 * 4 * 64]",),
    "Shots for a small error": ("shots_needed = (3600.0, 36)",),
    "Hours of a run on a chip": ("hours = 1.5e4", "hours = 10_000"),
    "Layers that a line leaves": (CHIP.format("line", 4, 3),),
    "An alt text with the finding": (ALT[0].format("LoRA is below QTHA in the mean", ""),),
    "One entry from a run folder alone": (
        "import json\ntable_entry = [json.loads((run_folder / 'summary.json').read_text())"
        "['test_loss'], str(run_folder / 'summary.json'), 'test_loss']",
    ),
}
WRONG |= (
    {
        LETTERS[name][0]: tuple((f"{name} = {letters!r}", why) for letters, why in wrong)
        for name, wrong in WRONG_LETTERS.items()
    }
    | {
        title: tuple((f"{name} = {code.format(value)}", why) for code, why in ANY_NUMBER)
        for title, (name, value) in NUMBERS.items()
    }
    | {
        "A waist of equal size": (
            (BAR.format("tiny", 4, 64), "trains more than"),
            (BAR.format("tiny", 4, 4), "larger waist"),
            (BAR.format("smollm2-135m", 4, 16), "asked for"),
            ("same_size = (4, 3, 16)", "state"),
        ),
        "Killed and resumed": (
            ("two_runs = recorded_pair() * 2", "two finished runs"),
            ("two_runs = (recorded_pair()[0], recorded_pair()[0].path)", "same folder"),
            ("two_runs = [run.path for run in recorded_pair()][::-1]", "interrupted"),
        ),
        "Tokens until the bounds meet": (
            ("enough_tokens = 1200", "twice"),
            ("enough_tokens = -600", "sign"),
            ("enough_tokens = 200", ""),
        ),
        "Who merges, and who is bound by r?": (
            (CODES.format("4, 2, 3, 2, 4, 4, 2, 2"), "larger than the right value by one"),
            (CODES.format("1, 1, 3, 3, 1, 2, 1, 3"), "opposite order"),
            (CODES.format("3, 1, 2, 1, 3, 3, 1, 0"), "7 of the 8 numbers are right"),
        ),
        "Trained and generated numbers": (
            (f"numbers_of_qpa = ({2 * QPA}, 1024)", "twice"),
            (f"numbers_of_qpa = ({QPA}, 256)", "1 of the 2 numbers is right"),
            (f"numbers_of_qpa = ({QPA + 1}, 513)", "by one"),
        ),
        "Hours of a run on a chip": (
            ("hours = 2 * 15000", "twice"),
            ("hours = 15000 * 60", ""),
            ("hours = -15000", "sign"),
        ),
        "Shots for a small error": (
            ("shots_needed = (36, 3600)", "opposite order"),
            ("shots_needed = (7200, 72)", "twice"),
            ("shots_needed = (60, 6)", "square root"),
            ("shots_needed = (3600, 1)", "1 of the 2 numbers is right"),
        ),
        "Layers that a line leaves": (
            (CHIP.format("line", 6, 3), "line of 4 qubits"),
            (CHIP.format("all-to-all", 4, 4), "line of 4 qubits"),
            (CHIP.format("line", 4, 1), "one more layer"),
            (CHIP.format("line", 4, 5), "less than 25"),
        ),
        "A question, planned and answered": (
            (PLAN.format("example", "[]", "inconclusive"), "expected"),
            (PLAN.format("example", "shipped", "better"), "expected"),
            (PLAN.format("example", "shipped[:2]", "inconclusive"), "not those of the plan"),
            (PLAN.format("replace(example, second='dora')", "shipped", "shown"), "not those"),
            (PLAN.format("replace(example, written='20271231')", "shipped", "shown"), "older"),
        ),
        "An alt text with the finding": (
            (ALT[0].format("QTHA is higher in the mean", ""), "names both methods"),
            (ALT[1].format("QTHA minus LoRA is", "twenty seeds"), "direction"),
            (ALT[1].format("QTHA is worse than LoRA,", "all seeds"), "number of seeds"),
            ("alt_text = 'QTHA is above LoRA by 0.05 in 20 seeds'", "interval"),
            ("alt_text = 'word ' * 61", "sixty words"),
        ),
        "One entry from a run folder alone": (
            (ENTRY.format(4.264, "environment.json", "test_loss"), "does not hold"),
            (ENTRY.format(4.264, "summary.json", "train_loss"), "other losses"),
            (ENTRY.format(42.64, "summary.json", "test_loss"), "not the one in that file"),
            ("table_entry = (4.264, 'summary.json')", "a tuple of"),
        ),
    }
)
