"""Answers of readers to the exercises that earlier banks leave out; see `answer_bank`.

In a selection, the reason is that of the first letter that is wrong.
"""

from qtha_lab.lessons.lesson_10 import METHOD

LETTERS = {  # name, right answers in other ways, wrong answers with a part of their reason
    "α twice as large, or the rate?": (
        "agreeing",
        ["da", "A, D"],
        [("cd", "Adam divides"), ("ac", "enters twice"), ("abd", "A twice")],
    ),
    "An adapter that does not learn": (
        "learning",
        ["cb", ("b", "c")],
        [("a", "contains the other"), ("d", "B moves at once")],
    ),
    "Sentences about intruders": (
        "allowed",
        ["edb", "b d e"],
        [("abcdef", "a cause needs"), ("e", "first table")],
    ),
    "Initial values that never move": (
        "stuck",
        [["d"], "D"],
        [("a", "last core"), ("bcd", "only B is zero")],
    ),
    "Two lines of a proof": ("valid", ["eba", "a, b, e"], [("abcde", "ranks of blocks")]),
    "Switches and linearity": (
        "linear_switches",
        ["ca", ["a", "c"]],
        [("d", "all that is left"), ("ac e", "own datum")],
    ),
    "The abstract, corrected": (
        "kept",
        ["edca", "a;c;d;e"],
        [("b", "names its rate"), ("acdef", "no method learns")],
    ),
    "An optimum at the edge": (
        "consequences",
        ["eca"],
        [("abcd", "no property"), ("bce", "widen")],
    ),
    "Two methods, two first losses": (
        "causes",
        ["ba", ("a", "b")],
        [("c", "random numbers"), ("abcde", "no step")],
    ),
    "Shares of three controls": (
        "supported",
        ["ed", "d e"],
        [("abde", "nothing about the loss"), ("bd", "no quantum part")],
    ),
    "Referee an abstract": (
        "faulty",
        ["gedca"],
        [("g", "the shared rate"), ("abcdefg", "seeds are many")],
    ),
}
PERMUTED = METHOD.replace("x @ tensors", "x.flip(-1) @ tensors")
SQUARED = METHOD.replace('(1 + tensors["g"])', '(1 + tensors["g"]) ** 2')

RIGHT: dict[str, tuple[str, ...]] = {
    title: tuple(f"{name} = {letters!r}" for letters in right)
    for title, (name, right, _) in LETTERS.items()
} | {
    "Rank and bond, independently": (
        "vector = torch.eye(4).flatten()\n"
        "two_matrices = [3 * torch.outer(vector, vector), torch.eye(16)]",
    ),
    "Cases that a chain distinguishes": ("n_cases = [3, 3.0]",),
    "States with given means": (
        "s = 2**-0.5\nthree_states = np.array([[s, 0, 0, -s], [0, s, -s, 0], [0.5, 0.5, -0.5, 0.5]])",
    ),
    "One gate count, two spectra": (
        "def uploads(n):\n"
        "    rotations = [Gate('RY', 0, Angle.input(0) if k < n else Angle.param(k - n)) for k in range(6)]\n"
        "    return Circuit(2, [Gate('CNOT', (0, 1)), *rotations, *[Gate('CNOT', (0, 1))] * 2])\n"
        "two_circuits = [uploads(3), uploads(1)]",
    ),
    "A method of your own": (f"own_method = {PERMUTED!r}", f"own_method = {SQUARED!r}"),
}
WRONG: dict[str, tuple[tuple[str, str], ...]] = {
    title: tuple((f"{name} = {letters!r}", why) for letters, why in wrong)
    for title, (name, _, wrong) in LETTERS.items()
} | {
    "A matrix with a chosen bond": (
        ("with_bond_three = torch.zeros(4, 4)", "no terms"),
        ("with_bond_three = torch.eye(16)", "four rows"),
        ("with_bond_three = torch.eye(4)[[0, 1, 3, 2]]", "as for a CNOT"),
    ),
    "Rank and bond, independently": (
        ("two_matrices = (torch.ones(16, 16), torch.ones(16, 16))", "product of product"),
        ("two_matrices = torch.eye(16)", "sixteen rows"),
    ),
    "States with given means": (
        ("three_states = [[1, 0, 0, 0]] * 3", "not zero"),
        ("three_states = [0, 0, 0]", "four amplitudes"),
    ),
    "A gradient of a controlled rotation": (
        ("gradient_crz = lambda f, t: (f(t + np.pi / 2) - f(t - np.pi / 2)) / 2**0.5 / 2", ""),
        ("gradient_crz = lambda f, t: f(t)", ""),
    ),
    "A change that is not additive": (
        ("two_inputs = torch.ones(24)", "two vectors"),
        ("two_inputs = (torch.zeros(24), torch.zeros(24))", "Δ(0)"),
    ),
    "A realised change above r": (("wide_config = None", "QthaConfig"),),
    "Token dependence 0, and not linear": (
        ("not_linear = lambda x: x**2", "differs between tokens"),
        ("not_linear = lambda x: -x", "zero to zero"),
    ),
    "Controls and the causes they rule out": (
        ("causes_ruled_out = (3, 5, 4, 6, 1, 2)[::-1]", "opposite order"),
    ),
    "A method of your own": (
        ("own_method = 7", "text of a file"),
        (f"own_method = {METHOD.replace('@method', '# @method')!r}", "text of a file"),
        (
            f"own_method = {METHOD.replace('if self.config.init_weights:', 'if False:')!r}",
            "changes the model",
        ),
    ),
}
