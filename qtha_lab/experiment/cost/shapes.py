"""Sizes of transformer models, by name or from a transformers config, without weights."""

import copy
import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """Sizes of a transformer.

    Attributes:
        sizes: (in_features, out_features) of the linear layers of one block, by name.
        n_parameters: Parameters of the whole model, embeddings included.

    Example:
        >>> get_shape("llama-3-8b").sizes["v_proj"], get_shape("llama-3-8b").n_parameters
        ((4096, 1024), 8030261248)
    """

    name: str
    n_blocks: int
    sizes: Mapping[str, tuple[int, int]]
    n_parameters: int

    def targets(self, target_modules: Iterable[str] | str | None) -> list[str]:
        """Select the linear layers of a block that match a PEFT config's `target_modules`.

        Raises:
            Refusal: If no layer matches, or a named layer does not exist.
        """
        if target_modules is None:
            raise Refusal(f"target_modules must be named: {', '.join(self.sizes)}")
        if target_modules == "all-linear":
            return list(self.sizes)
        if isinstance(target_modules, str):
            pattern = re.compile(target_modules)
            paths = {name: (name, f"model.layers.0.{name}") for name in self.sizes}
            matching = [
                n for n, spellings in paths.items() if any(map(pattern.fullmatch, spellings))
            ]
            if not matching:
                raise Refusal(
                    f"target_modules must match one of {list(self.sizes)}, got {target_modules!r}."
                )
            return matching
        for name in target_modules:
            if name not in self.sizes:
                raise unknown(f"linear layer of {self.name}", name, list(self.sizes))
        return [name for name in self.sizes if name in set(target_modules)]

    def skeleton(self, names: Iterable[str]) -> nn.Module:
        """Build the named layers of every block on the meta device, under the model's paths."""
        names = [name for name in self.sizes if name in set(names)]
        root = nn.Module()
        root.model = nn.Module()
        root.model.layers = nn.ModuleList(self._block(names) for _ in range(self.n_blocks))
        return root

    def _block(self, names: list[str]) -> nn.Module:
        block = nn.Module()
        for name in names:
            block.add_module(name, nn.Linear(*self.sizes[name], bias=False, device="meta"))
        return block


_NAMES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
_NAMES += ("intermediate_size", "vocab_size", "tie_word_embeddings")
# `_NAMES` in the config.json of HuggingFaceTB/SmolLM2-135M, Qwen/Qwen2-7B and meta-llama's models
SHAPES: dict[str, tuple[str, tuple]] = {
    "smollm2-135m": ("llama", (576, 30, 9, 3, 1536, 49_152, True)),
    "qwen2-7b": ("qwen2", (3584, 28, 28, 4, 18_944, 152_064, False)),
    "llama-3-8b": ("llama", (4096, 32, 32, 8, 14_336, 128_256, False)),
    "llama-3-70b": ("llama", (8192, 80, 64, 8, 28_672, 128_256, False)),
}


@functools.lru_cache(maxsize=16)
def get_shape(name: str) -> ModelShape:
    """Return the shape of a name.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if name not in SHAPES:
        raise unknown("model shape", name, list(SHAPES))
    kind, sizes = SHAPES[name]
    return shape_of(AutoConfig.for_model(kind, **dict(zip(_NAMES, sizes, strict=True))), name)


def shape_of(config, name: str = "") -> ModelShape:
    """Build the shape from a transformers config of a model with equal blocks.

    Raises:
        Refusal: If the blocks contain no linear layers or differ in size.
    """
    one, two, three = (_empty(config, blocks) for blocks in (1, 2, 3))
    per_block = two.num_parameters() - one.num_parameters()
    if three.num_parameters() - two.num_parameters() != per_block:
        raise Refusal(
            f"The blocks of this {config.model_type} model must be alike, got blocks of different "
            "sizes."
        )
    sizes, n_blocks = _block_sizes(one), config.num_hidden_layers
    if not sizes:
        raise Refusal(f"A block of this {config.model_type} model has no linear layers.")
    return ModelShape(
        name=name or config.model_type,
        n_blocks=n_blocks,
        sizes=sizes,
        n_parameters=one.num_parameters() + (n_blocks - 1) * per_block,
    )


def _empty(config, n_blocks: int) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    shorter = copy.deepcopy(config)
    shorter.num_hidden_layers = n_blocks
    if getattr(shorter, "layer_types", None):
        shorter.layer_types = (shorter.layer_types * n_blocks)[:n_blocks]
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(shorter, trust_remote_code=False)


def _block_sizes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Return the sizes of a block's linear layers by name.

    The name is the last part of the path, or the whole path if the last part is not unique.
    """
    sizes: dict[str, tuple[int, int]] = {}
    for path, module in model.named_modules():
        inner = path.partition(".0.")[2]
        if not inner or not isinstance(module, nn.Linear | Conv1D):
            continue
        outs, ins = module.weight.shape
        size = (outs, ins) if isinstance(module, Conv1D) else (ins, outs)
        short = inner.rpartition(".")[2]
        sizes[short if short not in sizes else inner.replace(".", "_")] = size
    return sizes
