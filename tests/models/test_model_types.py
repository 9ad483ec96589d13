"""All model types of the installed transformers, shrunk by one rule: each trains or names the cause."""

import json

import pytest
import torch
import transformers as hf
from transformers.models.auto import configuration_auto, modeling_auto

from qtha_lab import models, tasks
from qtha_lab.adapters import add_adapter
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment, MethodChoice, Training
from qtha_lab.experiment.plan import resolve

WORDS = 4096
SIZES = {
    WORDS: "vocab_size",
    128: "max_position_embeddings n_positions max_seq_len max_sequence_length n_ctx seq_length",
    64: "intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff hidden_dim n_inner d_inner "
    "moe_intermediate_size shared_expert_intermediate_size ffn_hidden_size intermediate_size_mlp "
    "expert_ffn_hidden_size shared_intermediate_size",
    32: "hidden_size d_model n_embd dim embedding_size word_embed_proj_dim lru_width",
    16: "head_dim global_head_dim d_kv attention_head_size kv_lora_rank q_lora_rank v_head_dim",
    8: "qk_rope_head_dim qk_nope_head_dim rotary_dim state_size mamba_d_state",
    4: "n_head num_local_experts n_routed_experts num_experts moe_num_experts",
    1: "attn_layer_offset",
    2: "num_hidden_layers num_layers n_layer n_layers encoder_layers decoder_layers "
    "num_decoder_layers num_attention_heads n_heads num_heads encoder_attention_heads "
    "decoder_attention_heads num_key_value_heads num_experts_per_tok moe_topk n_group topk_group "
    "moe_k moe_top_k num_experts_per_token num_expert_group attn_layer_period "
    "n_groups mamba_n_groups mamba_expand expand",
}
SIZE_OF = {name: size for size, names in SIZES.items() for name in names.split()}
LARGEST = 3_000_000  # parameters: a type that the rule does not shrink further is left out
TYPES = {
    "causal": (modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, 60),
    "sequence-to-sequence": (modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES, 8),
    "encoder": (modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, 20),
}


def shrunk(model_type: str) -> hf.PreTrainedConfig:
    """Return the default config of a model type with the sizes of `SIZES`."""
    config_class = getattr(hf, configuration_auto.CONFIG_MAPPING_NAMES[model_type])
    options = {}
    for name, value in config_class().to_dict().items():
        if name in SIZE_OF and (value is None or type(value) is int):
            options[name] = SIZE_OF[name]
        elif name.endswith("token_id") and type(value) is int and value >= WORDS:
            options[name] = 0
        elif name.endswith("layer_types") and value:
            options[name] = [value[0], value[-1]]  # of both kinds, where there are two
        elif name == "default_language":
            options[name] = "en_XX"
    if "qk_rope_head_dim" in options:  # the size of the rotated part
        options.pop("head_dim", None)
    return config_class(**options)


def built(model_type: str, class_name: str | tuple[str, ...]) -> hf.PreTrainedModel | None:
    """Return a small model with random weights, or None if the rule does not give one."""
    name = class_name if isinstance(class_name, str) else class_name[0]
    try:
        config = shrunk(model_type)
        with torch.device("meta"):
            sized = getattr(hf, name)(config)
        if sum(p.numel() for p in sized.parameters()) > LARGEST:
            return None
        torch.manual_seed(0)
        model = getattr(hf, name)(config)
        tokens = torch.arange(1, 9).reshape(2, 4)
        model.train()(input_ids=tokens, labels=tokens).loss.backward()  # without an adapter
    except Exception:  # transformers refuses these sizes, or cannot train the type
        return None
    return model


def trained(folder, task) -> str:
    """Take a step of an adapter; return "" or the sentence of the refusal."""
    experiment = Experiment(
        model=str(folder),
        task=str(task),
        training=Training(steps=1, max_length=32, batch_size=2, eval_rows=4, test_rows=4),
        method=MethodChoice(name="lora"),
    )
    try:
        experiment.check()
        plan = resolve(experiment)
        base = models.load_model(experiment.model, head=plan.head, n_labels=plan.n_labels)
        model = add_adapter(base.model, plan.config).train()
        rows = plan.task.encode(plan.task.train[:2], base.tokenizer, 32)
        loss = model(**tasks.collate(base.tokenizer)(rows)).loss
        loss.backward()
    except Refusal as refusal:
        return str(refusal)
    assert torch.isfinite(loss)
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())
    return ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TYPES)
def test_a_model_type_trains_a_step_or_names_the_cause(kind, tmp_path):
    names, least = TYPES[kind]
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(60)]
    classes = tmp_path / "classes.jsonl"
    classes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = hf.AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    outcomes, faults = {}, {}
    for model_type, class_name in names.items():
        if (model := built(model_type, class_name)) is None:
            continue
        folder = tmp_path / model_type
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        try:
            outcomes[model_type] = trained(folder, classes if kind == "encoder" else "qa")
        except Exception as fault:
            faults[model_type] = f"{type(fault).__name__}: {fault}"[:200]
    print(json.dumps({name: cause for name, cause in outcomes.items() if cause}, indent=1))
    assert faults == {}
    assert sum(not cause for cause in outcomes.values()) >= least
