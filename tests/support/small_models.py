"""Tiny models with random weights, one for each shape of layer an adapter meets; no test."""

import io
import pickle
from functools import cache
from types import SimpleNamespace

import torch
from peft import PeftModel
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Siglip2Config,
    Siglip2ForImageClassification,
    T5Config,
    T5ForConditionalGeneration,
)

TOKENS = torch.tensor([[5, 11, 3, 40, 7, 2], [9, 1, 1, 30, 22, 4]])
# 2 images of 2 × 3 patches of 2 × 2 pixels in 3 colours, flat as the vision transformer reads them.
PATCHES = torch.randn(2, 6, 12, generator=torch.Generator().manual_seed(0))
NUMBERS = torch.randn(5, 10, generator=torch.Generator().manual_seed(0))
# Where adapters go: grouped key/value heads (32 → 16), Conv1D (32 → 96), plain square layers,
# attention inside and across an encoder and a decoder (32 → 24), and layers outside of any
# attention.
TARGETS = {
    "llama": ["q_proj", "v_proj"],
    "gpt2": ["c_attn"],
    "bert": ["query", "value"],
    "minilm": ["query", "value"],
    "t5": ["q", "v"],
    "vision": ["q_proj", "v_proj"],
    "mlp": ["widen", "narrow"],
}


def make(name: str, dtype: torch.dtype = torch.float32):
    """The model of that name in evaluation mode.

    The same weights, and random numbers after it, at every call.
    """
    mould, random_state = _built(name, dtype)
    torch.set_rng_state(random_state)
    return mould.cast()


@cache
def _built(name: str, dtype: torch.dtype):
    torch.manual_seed(0)
    with torch.device("cpu"):
        model = _MAKERS[name]()
    return Mould(model.to(dtype).eval()), torch.get_rng_state()


class Mould:
    """Copies of one module, several times as fast as `copy.deepcopy`.

    Pickled but for its tensors, which are cloned.
    """

    def __init__(self, module: nn.Module):
        self._tensors: list[torch.Tensor] = []
        places: dict[int, int] = {}

        def place(value: object) -> int | None:
            if not isinstance(value, torch.Tensor):
                return None
            if id(value) not in places:
                places[id(value)] = len(self._tensors)
                self._tensors.append(value)
            return places[id(value)]

        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.persistent_id = place
        pickler.dump(module)
        self._bytes = buffer.getvalue()

    def cast(self) -> nn.Module:
        """A copy that shares nothing with the module.

        What was one tensor in two places is one again.
        """
        copies = [
            (
                nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
                if isinstance(tensor, nn.Parameter)
                else tensor.clone()
            )
            for tensor in self._tensors
        ]
        unpickler = pickle.Unpickler(io.BytesIO(self._bytes))
        unpickler.persistent_load = copies.__getitem__
        return unpickler.load()


def inputs(model, tokens: torch.Tensor = TOKENS) -> dict[str, torch.Tensor]:
    """The inputs of a model of this file, adapted or not."""
    while isinstance(model, PeftModel):
        model = model.get_base_model()
    if isinstance(model, Mlp):
        return {"numbers": NUMBERS}
    if isinstance(model, Siglip2ForImageClassification):
        return {
            "pixel_values": PATCHES,
            "pixel_attention_mask": torch.ones(2, 6, dtype=torch.long),
            "spatial_shapes": torch.tensor([[2, 3], [2, 3]]),
        }
    if isinstance(model, T5ForConditionalGeneration):
        return {"input_ids": tokens, "decoder_input_ids": tokens}
    return {"input_ids": tokens}


def run(model, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    """The output of a model: logits, or the last hidden states of one without a head."""
    output = model(**inputs(model, tokens))
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


def logits(model, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    """The output of a model, without gradients."""
    with torch.no_grad():
        return run(model, tokens)


class Mlp(nn.Module):
    """Three linear layers without a config, 10 → 24 → 16 → 3."""

    def __init__(self):
        super().__init__()
        self.widen, self.narrow = nn.Linear(10, 24), nn.Linear(24, 16, bias=False)
        self.head = nn.Linear(16, 3)

    def forward(self, numbers: torch.Tensor) -> SimpleNamespace:
        hidden = self.widen(numbers.to(self.head.weight.dtype)).tanh()
        return SimpleNamespace(logits=self.head(self.narrow(hidden).tanh()))


def _llama():
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, bos_token_id=0, eos_token_id=1,
            pad_token_id=2,
        )
    )  # fmt: skip


def _gpt2():
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=48, n_embd=32, n_layer=2, n_head=4, n_positions=32, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=1, pad_token_id=2,
        )
    )  # fmt: skip


def _bert_config():
    return BertConfig(
        vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=32, num_labels=3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


def _t5():
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=48, d_model=32, d_kv=6, d_ff=40, num_layers=2, num_heads=4,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, dropout_rate=0.0,
        )
    )  # fmt: skip


def _vision():
    """A vision transformer that cuts its patches by a linear layer, so that it has no convolution."""
    tower = {
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": 2,
        "num_channels": 3,
        "num_patches": 9,
        "vision_use_head": False,
    }
    return Siglip2ForImageClassification(Siglip2Config(vision_config=tower, num_labels=3))


_MAKERS = {
    "llama": _llama,
    "gpt2": _gpt2,
    "bert": lambda: BertForSequenceClassification(_bert_config()),
    "minilm": lambda: BertModel(_bert_config()),
    "t5": _t5,
    "vision": _vision,
    "mlp": Mlp,
}
