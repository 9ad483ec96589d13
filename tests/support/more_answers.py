"""More answers of readers, of the lessons' newer exercises; see `answer_bank`."""

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
RIGHT: dict[str, tuple[str, ...]] = {
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
WRONG: dict[str, tuple[tuple[str, str], ...]] = {
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
