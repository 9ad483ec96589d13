"""Exercises of lesson 10: merging and rank, generated numbers, verdicts, an own method."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Selection
from qtha_lab.lessons.own_method_grader import own_method
from qtha_lab.lessons.registry import exercise

exercise(
    "10.1",
    "Who merges, and who is bound by r?",
    difficulty=2,
    minutes=8,
    kind="N",
    answer="codes",
    hints=(
        "Does the change depend on x otherwise than as a matrix times x?",
        "Generated numbers form a matrix as soon as they are generated. Is it a thin product?",
        "Only one of the eight is no matrix. Four form a product through r numbers.",
    ),
    solution="codes = (3, 1, 2, 1, 3, 3, 1, 1)",
    mistakes=(
        (
            "codes = (3, 1, 2, 1, 3, 2, 0, 1)",
            "generated numbers do not depend on the token: the matrix is generated once and merged",
        ),
        (
            "codes = (3, 1, 3, 1, 3, 3, 1, 1)",
            "QTHA's circuit reads the token, so its change is no matrix and cannot be merged",
        ),
        (
            "codes = (3, 3, 2, 1, 3, 3, 1, 1)",
            "DoRA rescales the columns of the whole weight, so its change is not bounded by r",
        ),
        (
            "codes = (3, 1, 0, 1, 3, 3, 1, 1)",
            "a circuit does not widen the bottleneck: QTHA's output passes through B's r columns",
        ),
        (
            "codes = (3, 1, 2, 3, 3, 3, 1, 1)",
            "QuanTA has no bottleneck: its tensors act on all entries of x",
        ),
        (
            "codes = (3, 1, 2, 1, 1, 1, 1, 1)",
            "Quantum-PEFT and QPA form a product of two thin matrices, as LoRA does",
        ),
    ),
    grader=grading.WholeNumbers((3, 1, 2, 1, 3, 3, 1, 1)),
    remark="A generated change merges like any other matrix. A circuit that reads tokens does not.",
)

TRAINED, GENERATED = 4 * 8 + 32 * 5 + 38_368 + 33 * 32, 4 * (64 + 64)

exercise(
    "10.2",
    "Trained and generated numbers",
    difficulty=2,
    minutes=8,
    kind="N",
    answer="numbers_of_qpa",
    hints=(
        "How many numbers have A and B together? That is what is generated.",
        "16 chunks need 4 qubits; put N = 4, L = 8 and c = 32 into the formula.",
        "4 · 8 angles, 32 · 5, the constant, and 33 · 32 of the last layer.",
    ),
    solution="""
        in_factors = 4 * (64 + 64)
        n_of_qpa = (in_factors // 32 - 1).bit_length()
        in_network = 32 * (n_of_qpa + 1) + 38_368 + 33 * 32
        numbers_of_qpa = (n_of_qpa * 8 + in_network, in_factors)
    """,
    mistakes=(
        (f"numbers_of_qpa = ({GENERATED}, {TRAINED})", "the two numbers are exchanged"),
        (
            f"numbers_of_qpa = (32, {GENERATED})",
            "those are the angles alone; the network between circuit and factors is trained too",
        ),
        (
            f"numbers_of_qpa = ({TRAINED}, 4096)",
            "the factors A and B are generated, not the entries of their product",
        ),
        (
            f"numbers_of_qpa = ({TRAINED - 32}, {GENERATED})",
            "the angles of the circuit are trained as well",
        ),
        (
            f"numbers_of_qpa = ({TRAINED + 16}, {GENERATED})",
            "16 basis states need fewer qubits than that: their number doubles with each qubit",
        ),
    ),
    grader=grading.WholeNumbers((TRAINED, GENERATED)),
    remark="On a small layer the generator is far larger than the factors that it generates.",
)

NOT_SHOWN = {
    "a": "the difference is within the interval of zero; the verdict names the seeds that decide",
    "b": "no arm reaches the goal, so their times to the goal are all the same number",
    "c": "the linear control is at 0.999, so no method can be better on these digits",
    "d": "steps lower the loss of both arms; the width of the interval is due to the seeds",
    "e": "a size chosen on the test rows makes those rows part of the training",
    "f": "a verdict names its data; a larger scale is another question, not a better answer here",
}

exercise(
    "10.3",
    "Three verdicts that are not shown",
    difficulty=2,
    minutes=10,
    kind="E",
    answer="would_show",
    hints=(
        "Read the interval of each claim, then its control.",
        "An interval can be too wide, a task too hard, or a task too easy.",
        "Three letters remove one of these three causes each.",
    ),
    solution='would_show = "abc"',
    mistakes=(
        ('would_show = "bc"', NOT_SHOWN["a"]),
        ('would_show = "ac"', NOT_SHOWN["b"]),
        ('would_show = "ab"', NOT_SHOWN["c"]),
        ('would_show = "abcd"', NOT_SHOWN["d"]),
        ('would_show = "abce"', NOT_SHOWN["e"]),
        ('would_show = "abcf"', NOT_SHOWN["f"]),
    ),
    grader=Selection("abc", NOT_SHOWN),
    remark="Rubric: effect against width of the interval, a task that can be learnt, and room.",
)

METHOD = '''
import dataclasses

import torch

from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting


@dataclasses.dataclass
class GainConfig(AdapterConfig):
    """Settings of the gain method."""

    r: int = setting(4, "Bottleneck size.", ge=1)


@method(
    "gain",
    GainConfig,
    summary="A thin product with a trained gain for each number of the bottleneck.",
    equation="Δy = B diag(1 + g) A x",
    source="an answer to exercise 10.4",
    default_learning_rate=3e-3,
    examples={"small": {"r": 2}},
)
class Gain(Change):
    """Tensors and formula at one layer."""

    def n_parameters(self):
        return self.config.r * (self.layer.in_features + self.layer.out_features + 1)

    def tensors(self):
        r = self.config.r
        sizes = {"A": (r, self.layer.in_features), "g": (r,), "B": (self.layer.out_features, r)}
        return {name: TensorSpec(size) for name, size in sizes.items()}

    def initialise(self, tensors):
        torch.nn.init.kaiming_uniform_(tensors["A"], a=5**0.5)
        tensors["g"].normal_(std=0.1)
        torch.nn.init.kaiming_uniform_(tensors["B"], a=5**0.5)
        if self.config.init_weights:
            tensors["B"].zero_()

    def delta(self, tensors, x):
        return x @ tensors["A"].mT * (1 + tensors["g"]) @ tensors["B"].mT
'''


def _answer(text: str) -> str:
    return f"own_method = {text!r}"


exercise(
    "10.4",
    "A method of your own",
    difficulty=3,
    minutes=25,
    kind="C",
    answer="own_method",
    hints=(
        "Begin with the file that the cell above prints, and change its formula.",
        "Keep one tensor at zero in initialise, and count every trained number in n_parameters.",
        "If the change is no matrix times x, add the class method is_linear that returns False.",
    ),
    solution=_answer(METHOD),
    mistakes=(
        (
            _answer("def delta(x):\n    return x\n"),
            "the text of a file that registers one method is expected",
        ),
        (
            _answer(METHOD.replace('tensors["B"].zero_()', "pass")),
            "the method changes the model before its first step: start at zero",
        ),
        (
            _answer(METHOD.replace("out_features + 1)", "out_features)")),
            "n_parameters gives another number than is trained",
        ),
        (
            _answer(METHOD.replace('(1 + tensors["g"])', '(1 + tensors["g"].detach())')),
            "a trained tensor has no gradient, or a frozen one has",
        ),
        (
            _answer(METHOD.replace('x @ tensors["A"].mT *', 'torch.tanh(x @ tensors["A"].mT) *')),
            "the change is declared linear, but it is no matrix times x",
        ),
    ),
    grader=own_method(),
    remark="It is a PEFT tuner now: name its file with --plugins, and compare it with LoRA.",
)
