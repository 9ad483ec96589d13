"""Tiny models with random weights, one for each shape of layer an adapter meets; no test."""

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

TOKENS = torch.tensor([[5, 11, 3, 40, 7, 2], [9, 1, 1, 30, 22, 4]])
# Where adapters go: grouped key/value heads (32 → 16), Conv1D (32 → 96), plain square layers.
TARGETS = {"llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"], "bert": ["query", "value"]}


def make(name: str, dtype: torch.dtype = torch.float32):
    """The model of that name in evaluation mode; the same weights at every call."""
    torch.manual_seed(0)
    with torch.device("cpu"):
        model = _MAKERS[name]()
    return model.to(dtype).eval()


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


def _bert():
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=32, num_labels=3,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip


_MAKERS = {"llama": _llama, "gpt2": _gpt2, "bert": _bert}


def logits(model, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    """What the model says of the tokens, without gradients."""
    with torch.no_grad():
        return model(input_ids=tokens).logits
