"""Sizes of transformer models, by name or from a transformers config, without weights."""

import copy
import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """Sizes of a transformer.

    Attributes:
        sizes: (in_features, out_features) of the linear layers of one block, by name.
        attention_width: Number of heads times head size: the dimension summed in a token's
            attention scores.
        n_parameters: Parameters of the whole model, embeddings included.
        head_parameters: Parameters of the output projection; a tied one counts too, because it is
            multiplied.

    Example:
        >>> get_shape("llama-3-8b").sizes["v_proj"], get_shape("llama-3-8b").n_parameters
        ((4096, 1024), 8030261248)
    """

    name: str
    n_blocks: int
    hidden: int
    attention_width: int
    sizes: Mapping[str, tuple[int, int]]
    n_parameters: int
    head_parameters: int
    source: str

    @property
    def block_parameters(self) -> int:
        """Number of weights in the linear layers of all blocks, without the output projection."""
        return self.n_blocks * sum(i * o for i, o in self.sizes.values())

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


def llama_shape(
    name: str,
    source: str,
    *,
    hidden: int,
    n_blocks: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    vocabulary: int,
    tied: bool,
    qkv_bias: bool = False,
) -> ModelShape:
    """Build the shape of a Llama or Qwen 2 model.

    Norms, biases and embeddings are counted.

    Args:
        name: Name of the shape.
        source: Source of the sizes.
        hidden: Hidden size.
        n_blocks: Number of transformer blocks.
        heads: Attention heads per block.
        kv_heads: Key and value heads per block.
        intermediate: Width of the feed-forward layers.
        vocabulary: Number of tokens in the vocabulary.
        tied: True if the embedding is also the output projection.
        qkv_bias: True if queries, keys and values have biases, as in Qwen 2.
    """
    head_size = hidden // heads
    kv = kv_heads * head_size
    sizes = {
        "q_proj": (hidden, hidden),
        "k_proj": (hidden, kv),
        "v_proj": (hidden, kv),
        "o_proj": (hidden, hidden),
        "gate_proj": (hidden, intermediate),
        "up_proj": (hidden, intermediate),
        "down_proj": (intermediate, hidden),
    }
    block = sum(i * o for i, o in sizes.values()) + 2 * hidden
    block += (hidden + 2 * kv) if qkv_bias else 0
    embedding = vocabulary * hidden
    whole = n_blocks * block + hidden + embedding * (1 if tied else 2)
    return ModelShape(name, n_blocks, hidden, hidden, sizes, whole, embedding, source)


SHAPES = {
    shape.name: shape
    for shape in (
        llama_shape(
            "smollm2-135m",
            "config.json of HuggingFaceTB/SmolLM2-135M",
            hidden=576,
            n_blocks=30,
            heads=9,
            kv_heads=3,
            intermediate=1536,
            vocabulary=49152,
            tied=True,
        ),
        llama_shape(
            "qwen2-7b",
            "config.json of Qwen/Qwen2-7B",
            hidden=3584,
            n_blocks=28,
            heads=28,
            kv_heads=4,
            intermediate=18944,
            vocabulary=152064,
            tied=False,
            qkv_bias=True,
        ),
        llama_shape(
            "llama-3-8b",
            "config.json of meta-llama/Meta-Llama-3-8B",
            hidden=4096,
            n_blocks=32,
            heads=32,
            kv_heads=8,
            intermediate=14336,
            vocabulary=128256,
            tied=False,
        ),
        llama_shape(
            "llama-3-70b",
            "config.json of meta-llama/Meta-Llama-3-70B",
            hidden=8192,
            n_blocks=80,
            heads=64,
            kv_heads=8,
            intermediate=28672,
            vocabulary=128256,
            tied=False,
        ),
    )
}


def get_shape(name: str) -> ModelShape:
    """Return the shape of a name.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if name not in SHAPES:
        raise unknown("model shape", name, list(SHAPES))
    return SHAPES[name]


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
    head: Any = one.get_output_embeddings()
    heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelShape(
        name=name or config.model_type,
        n_blocks=n_blocks,
        hidden=config.hidden_size,
        attention_width=heads * head_size,
        sizes=sizes,
        n_parameters=one.num_parameters() + (n_blocks - 1) * per_block,
        head_parameters=head.weight.numel() if head is not None else 0,
        source=f"a {config.model_type} config",
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
