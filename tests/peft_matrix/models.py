"""The tiny models that PEFT's tests name, made here with random weights in the layout of a model
cache.
"""

from pathlib import Path

import torch
import transformers as t

SMALL = {"vocab_size": 1000, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 2}
MODELS = {
    "peft-internal-testing/tiny-random-GPT2LMHeadModel": lambda: t.GPT2LMHeadModel(
        t.GPT2Config(n_embd=32, n_layer=5, n_head=4, n_positions=512, **SMALL)
    ),
    "trl-internal-testing/tiny-random-LlamaForCausalLM": lambda: t.LlamaForCausalLM(
        t.LlamaConfig(
            hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, **SMALL,
        )
    ),
    "peft-internal-testing/tiny-random-OPTForCausalLM": lambda: t.OPTForCausalLM(
        t.OPTConfig(
            hidden_size=16, ffn_dim=4, num_hidden_layers=5, num_attention_heads=4,
            word_embed_proj_dim=16, max_position_embeddings=100, init_std=0.1, **SMALL,
        )
    ),
    "peft-internal-testing/tiny-random-T5ForConditionalGeneration-calibrated": lambda: (
        t.T5ForConditionalGeneration(
            t.T5Config(
                d_model=32, d_kv=8, d_ff=37, num_layers=5, num_heads=4, decoder_start_token_id=0,
                vocab_size=1102, tie_word_embeddings=False,
            )
        )
    ),
    "hf-internal-testing/tiny-random-LlamaForCausalLM": lambda: t.LlamaForCausalLM(
        t.LlamaConfig(
            hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, **SMALL
        )
    ),
    "trl-internal-testing/tiny-Llama4ForCausalLM": lambda: t.Llama4ForCausalLM(
        t.Llama4TextConfig(
            hidden_size=16, intermediate_size=32, intermediate_size_mlp=32, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, num_local_experts=4, head_dim=4, **SMALL,
        )
    ),
    "trl-internal-testing/tiny-GptOssForCausalLM": lambda: t.GptOssForCausalLM(
        t.GptOssConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, num_local_experts=4, head_dim=4, **SMALL,
        )
    ),
    "peft-internal-testing/tiny-random-BertModel": lambda: t.BertModel(_bert()),
    "peft-internal-testing/tiny-random-BertForSequenceClassification": lambda: (
        t.BertForSequenceClassification(_bert())
    ),
}  # fmt: skip


def _bert() -> t.BertConfig:
    return t.BertConfig(
        vocab_size=1124, hidden_size=32, num_hidden_layers=5, num_attention_heads=4,
        intermediate_size=37,
    )  # fmt: skip


def make_models(cache: Path) -> None:
    """Write every model where the hub's client looks for one that was fetched before."""
    for name, make in MODELS.items():
        folder = cache / "hub" / f"models--{name.replace('/', '--')}"
        torch.manual_seed(0)
        make().save_pretrained(folder / "snapshots" / "local")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("local")
