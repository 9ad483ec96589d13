"""Code of a reader's earlier answers, otherwise of the declared solution.

own_build("3.circuit")     the function or class
own_method("own_qtha")     a plugin file with a method in this code
"""

import functools
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.core.io import make_folder, scratch_folder, shortened, write_atomically
from qtha_lab.lessons import saved_answers
from qtha_lab.lessons.answer_source import source_of
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.registry import EXERCISES


def own_piece(number: str) -> Any:
    """Return the reader's accepted answer or build of that number.

    Raises:
        Refusal: If there is no such exercise or build, the reader has no accepted answer, or its
            file cannot be imported.
    """
    task = EXERCISES.get(number)
    name = task.answer if task else BUILDS.get_or_refuse(number).name
    missing = Refusal(f"{name} must be built first, got no accepted answer to {number}.")
    place = saved_answers.folder()
    file = place / saved_answers.lesson_file(number) if place else None
    if file is None or not file.exists():
        raise missing
    spec = importlib.util.spec_from_file_location(f"my_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise missing
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the reader may have edited the file
        problem = shortened(describe_error(error), 150)
        raise Refusal(f"{file.name} must be importable, got {problem}.") from None
    if not hasattr(module, name):
        raise missing
    return getattr(module, name)


def own_build(number: str) -> Any:
    """Return the reader's accepted build or answer of that number, or the declared solution.

    Args:
        number: Number of a build, such as "3.circuit", or of an exercise, such as "5.1".

    Raises:
        Refusal: If there is no such build or exercise.

    Example:
        >>> own_build("3.mean").__name__
        'mean_z'
    """
    exercise = EXERCISES.get(number)
    if exercise is None:
        solve = BUILDS.get_or_refuse(number).solved
    else:
        solve = functools.partial(exercise.answer_of, exercise.solution)
    try:
        return own_piece(number)
    except Refusal:
        return solve()


class OwnMethod(NamedTuple):
    """Method of a reader's builds: their numbers, texts of the method, and its layer."""

    builds: tuple[str, ...]
    summary: str
    equation: str
    layer: str
    code: str = ""
    has_matrix: bool = True


CHAIN = '''
class ChainLinear(nn.Module):
    """A frozen linear layer plus a chain of cores, cut from a random matrix by TT-SVD."""

    def __init__(self, base, r, alpha):
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), alpha / r
        out_dims, in_dims = (factorise(n, 3) for n in (base.out_features, base.in_features))
        start = torch.randn(base.out_features, base.in_features) / base.in_features**0.5
        *cores, last = tt_svd(start, out_dims, in_dims, r)
        self.cores = nn.ParameterList([*cores, 0 * last])  # the change starts at zero

    def forward(self, x):
        return self.base(x) + self.scale * apply_chain(list(self.cores), x)
'''
OWN_METHODS = {
    "own_lora": OwnMethod(
        ("1.lora",), "LoRA of lesson 1", "Δy = α/r · B A x", "LoRALinear(base, r, alpha)"
    ),
    "own_chain": OwnMethod(
        ("2.chain", "2.apply"),
        "A chain of three trained cores of lesson 2",
        "Δy = α/r · (chain of bond r) x",
        "ChainLinear(base, r, alpha)",
        CHAIN,
    ),
    "own_qtha": OwnMethod(
        ("6.layer",),
        "QTHA of lesson 6",
        "Δy = α/r · M_B B (W_q q(h) + W_c h), h = A M_A x",
        "QthaLinear(base, qtha_start(self, r), alpha / r)",
        has_matrix=False,
    ),
}
FILE = '''
"""{method.summary}, in the reader's code."""

import torch
from torch import nn

from qtha_lab.lessons.layer_method import LayerChange, LayerConfig, qtha_start
from qtha_lab.plugins import method
from qtha_lab.tensor_networks.factors import factorise

{code}


class OwnConfig(LayerConfig):
    """Settings r and alpha."""


@method(
    "{name}",
    OwnConfig,
    summary="{method.summary}, in the reader's code.",
    equation="{method.equation}",
    source="builds {builds}",
    default_learning_rate=1e-2,
)
class OwnChange(LayerChange):
    """Change of the reader's layer."""

    has_matrix = {method.has_matrix}

    def make_layer(self, base):
        r, alpha = self.config.r, self.config.alpha
        return {method.layer}
'''


def own_method(name: str) -> Path:
    """Write the plugin file of a method in the reader's own code.

    The file needs neither the notebook nor the folder `my` afterwards.

    Args:
        name: "own_lora", "own_chain" or "own_qtha".

    Raises:
        Refusal: If there is no such method, or the code of a build cannot be read.

    Example:
        >>> own_method("own_lora").name
        'own_lora.py'
    """
    if name not in OWN_METHODS:
        raise Refusal(f"name must be one of {', '.join(OWN_METHODS)}, got {name!r:.60}.")
    method = OWN_METHODS[name]
    built = {number: own_build(number) for number in method.builds}
    codes = [source_of(of.__name__, of) for of in built.values()]
    if None in codes:
        raise Refusal(f"The code of builds {', '.join(built)} must be readable, got none.")
    code = "\n\n\n".join(text.strip() for text in (*map(str, codes), method.code) if text)
    folder = saved_answers.folder() or Path(_unsaved().name)
    make_folder(folder)
    file = folder / f"{name}.py"
    text = FILE.format(name=name, method=method, code=code, builds=", ".join(method.builds))
    write_atomically(file, text.lstrip())
    return file


@functools.cache
def _unsaved() -> Any:
    """Return one scratch folder per process, since a method belongs to one file."""
    return scratch_folder()
