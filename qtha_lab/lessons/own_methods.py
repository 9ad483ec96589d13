"""Methods of the reader's own: plugin files of the layers that lessons 1, 2 and 6 build.

    own_method("own_qtha")     the file, which an experiment names in `plugins`

A file holds the reader's accepted builds, otherwise the declared solutions, and registers them as
one method. It needs neither the notebook nor the folder `my` afterwards.
"""

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.adapters import QthaConfig
from qtha_lab.adapters.change import Change, TensorSpec
from qtha_lab.adapters.peft import AdapterConfig
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically
from qtha_lab.core.settings import setting
from qtha_lab.lessons import saved_answers
from qtha_lab.lessons.answer_source import source_of
from qtha_lab.lessons.own_code import own_build
from qtha_lab.lessons.package_layer import layer_parts


@dataclasses.dataclass
class LayerConfig(AdapterConfig):
    """Settings of every method of a reader's layer."""

    r: int = setting(4, "Bottleneck size, or bond dimension of a chain.", ge=1)
    alpha: float = setting(8.0, "Scaling: the change is times alpha / r.", gt=0)


class LayerChange(Change):
    """Change of a reader's layer: its output around a base of zeros.

    Its trained parameters are the tensors of the method.
    """

    @abstractmethod
    def make_layer(self, base: nn.Linear) -> nn.Module:
        """Return the reader's layer around a base."""

    @functools.cached_property
    def module(self) -> nn.Module:
        """The reader's layer; random numbers after it are as if it was not built."""
        with torch.random.fork_rng(devices=[]):
            return self._built()

    def _built(self) -> nn.Module:
        base = nn.utils.skip_init(
            nn.Linear, self.layer.in_features, self.layer.out_features, bias=False
        )
        nn.init.zeros_(base.weight)
        return self.make_layer(base)

    def _trained(self, module: nn.Module) -> dict[str, nn.Parameter]:
        named = module.named_parameters()
        return {name: weight for name, weight in named if weight.requires_grad}

    def n_parameters(self) -> int:
        return sum(weight.numel() for weight in self._trained(self.module).values())

    def tensors(self) -> dict[str, TensorSpec]:
        return {
            name.replace(".", "_"): TensorSpec(tuple(weight.shape))
            for name, weight in self._trained(self.module).items()
        }

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        for name, weight in self._trained(self._built()).items():
            tensor = tensors[name.replace(".", "_")]
            tensor.copy_(weight)
            if not self.config.init_weights and not tensor.any():
                tensor.normal_(std=0.1)

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        module = self.module.to(x)
        given = {name: tensors[name.replace(".", "_")] for name in self._trained(module)}
        rows = torch.func.functional_call(module, given, (x.reshape(-1, x.shape[-1]),))
        return rows.reshape(*x.shape[:-1], -1)


def qtha_start(change: Change, r: int, waist: int = 16, bond_dim: int = 3) -> dict[str, Any]:
    """Return the package's initial parts of a QTHA layer, for a reader's `QthaLinear`.

    Args:
        change: Change of the layer, which has its sizes.
        r: Bottleneck size.
        waist: Size between the chains and the bottleneck.
        bond_dim: Bond dimension of both chains.
    """
    start: Any = QthaConfig(r=r, waist=waist, bond_dim=bond_dim).change(change.layer)
    return layer_parts(start, start.start())


LORA = '''
@method(
    "own_lora",
    LayerConfig,
    summary="LoRA of lesson 1, in the reader's code.",
    equation="Δy = α/r · B A x",
    source="Hu et al. 2021, arXiv:2106.09685",
    default_learning_rate=1e-2,
    examples={"small": {"r": 2}},
)
class OwnLora(LayerChange):
    """The reader's LoRALinear."""

    def make_layer(self, base):
        return LoRALinear(base, self.config.r, self.config.alpha)
'''
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


@method(
    "own_chain",
    LayerConfig,
    summary="A chain of three trained cores, by TT-SVD of lesson 2 in the reader's code.",
    equation="Δy = α/r · (chain of cores of bond r) x",
    source="TT-SVD: Oseledets 2011, algorithm 1",
    default_learning_rate=1e-2,
    examples={"small": {"r": 2}},
)
class OwnChain(LayerChange):
    """A chain made by the reader's tt_svd and applied by the reader's apply_chain."""

    def make_layer(self, base):
        return ChainLinear(base, self.config.r, self.config.alpha)
'''
QTHA = '''
@method(
    "own_qtha",
    LayerConfig,
    summary="QTHA of lesson 6, in the reader's code.",
    equation="Δy = α/r · M_B B (W_q q(h) + W_c h), h = A M_A x",
    source="lesson 6",
    default_learning_rate=1e-2,
    examples={"small": {"r": 2}},
)
class OwnQtha(LayerChange):
    """The reader's QthaLinear, from the package's initial values of equal seed."""

    @classmethod
    def is_linear(cls, config):
        return False

    def make_layer(self, base):
        r = self.config.r
        return QthaLinear(base, qtha_start(self, r), self.config.alpha / r)
'''
OWN_METHODS = {
    "own_lora": (("1.lora",), LORA),
    "own_chain": (("2.chain", "2.apply"), CHAIN),
    "own_qtha": (("6.layer",), QTHA),
}
"""Builds that each method needs, and the code that registers it."""

IMPORTS = """
import torch
from torch import nn

from qtha_lab.lessons.own_methods import LayerChange, LayerConfig, qtha_start
from qtha_lab.plugins import method
from qtha_lab.tensor_networks.factors import factorise
"""


def own_method(name: str) -> Path:
    """Write the plugin file of a method in the reader's own code, and return its path.

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
    numbers, registration = OWN_METHODS[name]
    parts = [f'"""The method {name}, in the code of builds {" and ".join(numbers)}."""', IMPORTS]
    for number in numbers:
        built = own_build(number)
        code = source_of(built.__name__, built)
        if code is None:
            raise Refusal(f"The code of build {number} must be readable, got none.")
        parts.append(code)
    folder = saved_answers.folder() or Path(mkdtemp())
    make_folder(folder)
    file = folder / f"{name}.py"
    write_atomically(file, "\n\n\n".join(part.strip() for part in [*parts, registration]) + "\n")
    return file
