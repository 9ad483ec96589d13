"""Plugins with one planted mistake each; no test.

A plugin is an example of this project after replacements of text. `sentence` is a part of what
`check-plugin` must report; an empty one marks a mistake that no check can notice.
"""

from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Mistake:
    """A mistake: the family, the example, its replacements, and the sentence expected."""

    family: str
    title: str
    example: str
    changes: tuple[tuple[str, str], ...]
    sentence: str

    @property
    def source(self) -> str:
        """Return the source of the plugin."""
        text = (EXAMPLES / self.example).read_text()
        for old, new in self.changes:
            assert old in text, f"{self.title}: {old!r} is not in {self.example}"
            text = text.replace(old, new)
        return text


def _method(title: str, sentence: str, *changes: tuple[str, str]) -> Mistake:
    return Mistake("method", title, "diagonal.py", changes, sentence)


def _of(family: str, example: str):
    def planted(title: str, sentence: str, *changes: tuple[str, str]) -> Mistake:
        return Mistake(family, title, example, changes, sentence)

    return planted


_RETURN = 'return scale * (x @ tensors["A"].mT * tensors["d"]) @ tensors["B"].mT'
_ansatz, _task = _of("ansatz", "chain.py"), _of("task", "sums.py")
_figure, _engine, _gate = (
    _of("figure", "rates.py"),
    _of("engine", "dense.py"),
    _of("gate", "exchange.py"),
)
_head, _scheme = _of("head", "normalised.py"), _of("quantization", "levels.py")
_initialisation = _of("initialisation", "eighths.py")
_exercise, _reproduction = _of("exercise", "bell.py"), _of("reproduction", "two_ranks.py")
_NOT_LINEAR = (
    "    def n_parameters(self):",
    "    @classmethod\n    def is_linear(cls, config):\n        return False\n\n    def n_parameters(self):",
)

MISTAKES = [
    # methods
    _method("non-causal", "a later token changes the output of an earlier one",
            (_RETURN, _RETURN + " + (x - x + x.mean(-2, keepdim=True)) @ tensors[\"A\"].mT @ tensors[\"B\"].mT"), _NOT_LINEAR),
    _method("mixes rows", "one row of a batch changes the output of another",
            (_RETURN, _RETURN + " + x.mean(0, keepdim=True) @ tensors[\"A\"].mT @ tensors[\"B\"].mT"), _NOT_LINEAR),
    _method("random forward pass", "two forward passes differ",
            (_RETURN, "x = x + 0.1 * torch.randn_like(x)\n        " + _RETURN), _NOT_LINEAR),
    _method("random numbers without the seed", "two builds with one seed differ",
            ("import torch\n", "import torch\nimport random\n"),
            ('tensors["d"].fill_(1)', 'tensors["d"].fill_(random.SystemRandom().random())')),
    _method("state between passes", "two forward passes differ",
            (_RETURN, "self.last = 0.5 * getattr(self, \"last\", 0) + x.mean().detach()\n        "
             + _RETURN + " + self.last * (tensors[\"B\"] @ tensors[\"A\"].sum(1))"), _NOT_LINEAR),
    _method("changes the output at the start", "logits move by up to", ('tensors["B"].zero_()', 'tensors["B"].fill_(0.1)')),
    _method("miscounted parameters", "n_parameters gives", ("+ 1)", "+ 2)")),
    _method("detached tensor", "no gradient reaches", ('tensors["d"])', 'tensors["d"].detach())')),
    _method("unused tensor", "no gradient reaches",
            ('"d": TensorSpec((r,)),', '"d": TensorSpec((r,)), "e": TensorSpec((r,)),'),
            ('tensors["d"].fill_(1)', 'tensors["d"].fill_(1)\n        tensors["e"].zero_()'),
            ("self.layer.out_features + 1)", "self.layer.out_features + 2)")),
    _method("nonlinear but merged", "is the change linear?", ("x @ tensors", "x.tanh() @ tensors")),
    _method("affine but merged", "an affine change is not linear", (_RETURN, _RETURN + " + tensors[\"B\"].sum(1)")),
    _method("name of PEFT's", "must be none of PEFT's own methods", ('"diagonal"', '"lora"')),
    _method("name of another method", "The name of a method must be new, got 'qtha'", ('"diagonal"', '"qtha"')),
    _method("config class of another method", "config_class must belong to one method, got that of 'qtha'",
            ("    DiagonalConfig,", "    __import__('qtha_lab').QthaConfig,")),
    _method("dot in a tensor name", "must be an identifier", ('"d"', '"d.weight"')),
    _method("setting without effect", "alpha must change", ("self.config.alpha / self.config.r", "2.0")),
    _method("infinite at large inputs", "inputs of 10⁴ give values that are not finite",
            ("x @ tensors", "x.exp() @ tensors"), _NOT_LINEAR),
    _method("column instead of outputs", "the change has the shape", (_RETURN, _RETURN.replace("return ", "return (") + ").mean(-1, keepdim=True)"), _NOT_LINEAR),
    _method("writes into its input", "changes its input", (_RETURN, "x.mul_(0.5)\n        " + _RETURN)),
    _method("trains in the forward pass", "changes the tensor", (_RETURN, "tensors[\"d\"].data.mul_(0.5)\n        " + _RETURN)),
    _method("wrong backward pass", "the gradient differs from finite differences",
            (_RETURN, _RETURN.replace("x @", "(2 * x - x.detach()) @"))),
    _method("single precision", "in float64 the change has float32",
            (_RETURN, "tensors = {name: t.float() for name, t in tensors.items()}\n        " + _RETURN.replace("x @", "x.float() @"))),
    _method("only square layers", "the change has the shape (2, 3, 32), not (2, 3, 16)", ('TensorSpec((self.layer.out_features, r))', 'TensorSpec((self.layer.in_features, r))'),
            ("self.layer.out_features + 1", "self.layer.in_features + 1")),
    _method("random matrix that is not saved", "other logits",
            (_RETURN, "self.p = getattr(self, \"p\", torch.randn(len(tensors[\"d\"])))\n        "
             + _RETURN.replace('tensors["d"])', 'tensors["d"] * self.p)'))),
    _method("tensors of the class", "the gradient differs from finite differences",
            (_RETURN, "type(self).d = vars(type(self)).get(\"d\", {})\n        d = type(self).d.setdefault(self.layer.index, tensors[\"d\"])\n        "
             + "if not torch.is_grad_enabled():\n            tensors = {**tensors, \"d\": d}\n        " + _RETURN)),
    _method("no equation", "The equation of method 'diagonal' must not be empty", ('equation="Δy = s·B diag(d) A x"', 'equation=""')),
    _method("learning rate of zero", "default_learning_rate must be a number above 0", ("default_learning_rate=3e-3", "default_learning_rate=0.0")),
    _method("example of no setting", "Unknown setting of method diagonal 'rank'", ('{"r": 3}', '{"rank": 3}')),
    _method("zero with init_weights=False", "logits are those of the base",
            ('if self.config.init_weights:\n            tensors["B"].zero_()\n        else:\n            torch.nn.init.kaiming_uniform_(tensors["B"], a=5**0.5)', 'tensors["B"].zero_()')),
    # ansätze
    _ansatz("more than 4 qubits", "5 qubits and 1 layers raise IndexError", ("    gates = []\n", "    gates = []\n    if n_qubits > 4:\n        raise IndexError('table of 4 qubits')\n")),
    _ansatz("other circuit past 4 qubits", "n_params gives", ('gates += [Gate("RY", i, next(angles)) for i in range(n_qubits)]', 'gates += [Gate("RY", i, next(angles)) for i in range(min(n_qubits, 4))]')),
    _ansatz("miscounted angles", "n_params gives", ("n_qubits * n_layers,", "n_qubits * n_layers + 1,")),
    _ansatz("random wires", "two builds differ", ("from qtha_lab", "import random\n\nfrom qtha_lab"), ('(i, i + 1)) for i in', '(i, i + 1)) for _ in [0] for i in random.SystemRandom().sample(range(n_qubits - 1), n_qubits - 1) if i in')),
    _ansatz("no re-uploading", "encodings of", ("layer, reupload)", "layer, False)")),
    _ansatz("constant layers", "layers give the circuit of", ("for layer in range(n_layers):", "for layer in range(1):"), ("n_params=lambda n_qubits, n_layers: n_qubits * n_layers", "n_params=lambda n_qubits, n_layers: n_qubits")),
    _ansatz("no source", "its source is empty", ('source="an example of this project"', 'source=" "')),
    _ansatz("option without effect", "option depth must change", ("reupload: bool = True)", "reupload: bool = True, depth: int = 1)"), ("lambda n_qubits, n_layers:", "lambda n_qubits, n_layers, depth=1:")),
    # tasks
    _task("unordered", "the rows come in another order", ("from qtha_lab", "import random\n\nfrom qtha_lab"), ("for a in range(1, self.highest + 1):", "for a in random.SystemRandom().sample(range(1, self.highest + 1), self.highest):")),
    _task("empty answers", "row 0 has an empty answer", ('f"{a + b}"', '""')),
    _task("one key", "must have 2 rows or more per side", ('key=f"{a} {b}"', 'key="all"')),
    _task("no key", "row 0 lacks key", ("yield question_and_answer(", "yield dict("), ('f"What is {a} plus {b}?", f"{a + b}", key=f"{a} {b}"', 'messages=[{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]')),
    _task("same question on two sides", "stand on two sides", ('f"What is {a} plus {b}?"', 'f"What is {a} plus {a}?"')),
    _task("setting without effect", "highest must change", ("self.highest", "30")),
    _task("ends with a question", "row 0 must end with an answer", ("yield question_and_answer(", "yield swapped("), ("\n\n@task(", "\n\ndef swapped(prompt, answer, key):\n    row = question_and_answer(prompt, answer, key)\n    return row | {\"messages\": row[\"messages\"][::-1]}\n\n\n@task(")),
    _task("no licence", "its licence is empty", ('licence="none needed: computed"', 'licence=""')),
    _task("content that is no text", "content must be text", ('f"{a + b}"', "a + b")),
    # figures
    _figure("no number in the alt text", "no number in the alt text", ('f"Lowest evaluation loss: {\', \'.join(ends)}."', '"Lowest loss."')),
    _figure("empty table", "its table is empty", ("[(method, rate, loss) for method, of in losses.items() for rate, loss in of.items()]", "[]")),
    _figure("one theme", "dark", ('    best = {', '    if theme == "dark":\n        raise KeyError("dark")\n    best = {')),
    _figure("axis without a title", "an axis has no title", ('title_text="evaluation loss in nats"', 'title_text=""')),
    _figure("caption without an end", "its caption is no sentence", ("prove an order.", "prove an order")),
    _figure("writes into its numbers", "changes the numbers", ("    best = {", "    losses[\"lora\"].popitem()\n    best = {")),
    _figure("random", "two drawings differ", ("import functools", "import functools\nimport random"), ("y=[*of.values()])", "y=[v + random.SystemRandom().random() for v in of.values()])")),
    # engines
    _engine("wrong sign", "⟨Z⟩ differs", ("[1.0, -1.0]", "[-1.0, 1.0]")),
    _engine("wires in the other order", "⟨Z⟩ differs", ("2 if w == wire else 1", "2 if n - 1 - w == wire else 1")),
    _engine("no gradient", "gradient", ("return torch.stack(values, 1)", "return torch.stack(values, 1).detach()")),
    _engine("mixes rows", "one row of a batch changes the values of another", ("probabilities = state.abs().square()", "probabilities = state.abs().square() + 1e-9 * state.abs().square().sum(0)")),
    _engine("random", "two runs differ", ("return torch.stack(values, 1)", "return torch.stack(values, 1) + 1e-7 * torch.randn(len(state), 1, dtype=inputs.dtype)")),
    _engine("double precision only", "dtype", ("return torch.stack(values, 1)", "return torch.stack(values, 1).double()")),
    _engine("more than 4 qubits", "8 qubits", ("MOST_QUBITS = 12", "MOST_QUBITS = 4"), ("circuit.n_qubits > MOST_QUBITS", "False"), ("state = torch.zeros", "assert n <= 4, 'n'\n        state = torch.zeros")),
    _engine("no bytes", "working_bytes gives", ("return 3 * 8 * batch * 2**circuit.n_qubits", "return None")),
    # gates
    _gate("other frequencies", "miss it by", ("frequencies=(0.5, 1.0)", "frequencies=(1.0,)")),
    _gate("no such gate of PennyLane", "say in_pennylane=False", (", in_pennylane=False", "")),
    _gate("another gate of PennyLane", "they overlap by", ('"XY", ("XY", "XY")', '"IsingXX", ("XY", "XY")'), ('GateKind("IsingXX"', 'GateKind("IsingXY"'), (", in_pennylane=False", ""), ("times(-0.5)", "times(0.5)")),
    _gate("commutes with nothing", "not with Z on wire 0", ("frequencies=(0.5, 1.0)", 'frequencies=(0.5, 1.0), commutes_with="ZZ"')),
    _gate("name of another gate", "The name of a gate must be new, got 'SWAP'", ('GateKind("XY"', 'GateKind("SWAP"')),
    _gate("wrong interaction", "interaction", ("in_pennylane=False", "in_pennylane=False, interaction=lambda a: (a[0], a[0], None)")),
    _gate("three wires", "must act on one or two wires", ('("XY", "XY")', '("XY", "XY", "XY")')),
    # heads
    _head("unequal at the start", "the initial logits of the classes differ", ("nn.init.zeros_(self.out.weight)\n        nn.init.zeros_(self.out.bias)", "pass")),
    _head("miscounted parameters", "n_parameters gives", ("(in_features + 1) * n_classes", "in_features * n_classes")),
    _head("mixes rows", "one row of a batch changes the logits of another", ("normalize(features, dim=-1)", "normalize(features, dim=0)")),
    _head("setting without effect", "scale must change", ("self.out(self.scale * normalize", "self.out(normalize")),
    _head("one logit too many", "the logits have the shape", ("nn.Linear(in_features, n_classes)", "nn.Linear(in_features, n_classes + 1)"), ("(in_features + 1) * n_classes", "(in_features + 1) * (n_classes + 1)")),
    _head("infinite at large features", "are not finite", ("normalize(features, dim=-1)", "features.exp()")),
    _head("random forward pass", "two forward passes differ", ("self.scale * normalize", "torch.rand(()) * self.scale * normalize"), ("from torch import nn", "import torch\nfrom torch import nn")),
    # quantisation schemes
    _scheme("random rounding", "two roundings of one model differ", ("((matrix - low) / step).round()", "((matrix - low) / step + torch.rand_like(matrix) - 0.5).round()"), ("import dataclasses\n", "import dataclasses\n\nimport torch\n")),
    _scheme("rounds nothing", "no weight changes", ("set_matrix(layer,", "str(low + step) or set_matrix(layer,")),
    _scheme("weights of zero", "loses", ("set_matrix(layer, low + step", "set_matrix(layer, 0 * low + 0 * step")),
    _scheme("setting without effect", "points must change", ("(self.points - 1)", "15")),
    _scheme("not finite", "are not finite", (".clamp_min(1e-30)", " * 0")),
    _scheme("no source", "its source is empty", ('source="an example of this project"', 'source=""')),
    # initialisations
    _initialisation("too few angles", "angles have the shape", ("return uniform / 8", "return uniform[1:] / 8")),
    _initialisation("not finite", "are not finite", ("return uniform / 8", "return uniform / 0")),
    _initialisation("ignores the seed", "two draws with one seed differ", ("return uniform / 8", "return torch.rand(len(uniform)) / 8")),
    _initialisation("no check", "without draws", ("if uniform is None:", "if False:")),
    # exercises
    _exercise("wrong solution", "its solution is wrong", ('solution="entropy_bits = 1.0"', 'solution="entropy_bits = 2.0"')),
    _exercise("right mistake", "is graded as right", ('"entropy_bits = 0.0"', '"entropy_bits = 1.0"')),
    _exercise("two hints", "must hold 3 texts, got 2", ('        "Its reduced state is the identity divided by 2.",\n', "")),
    _exercise("hints that repeat", "hints repeat", ('"Its reduced state is the identity divided by 2."', '"What does one of the two qubits look like alone?"')),
    # reproductions
    _reproduction("claim about no arm", "Unknown arm", ('"rank_8",\n            "test_loss"', '"rank_9",\n            "test_loss"')),
    _reproduction("ignores the arm", "give one experiment", ("METHODS[arm]", '"lora"')),
    _reproduction("ignores the seed", "the seed must change", ("seed=seed, ", "")),
    _reproduction("quick is long", "quick form", ("6 if quick else 100", "100 if quick else 6")),
    _reproduction("no such number", "arxiv must be", ('arxiv="2106.09685"', 'arxiv="LoRA"')),
]  # fmt: skip
