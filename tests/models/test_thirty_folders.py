"""Thirty folders as transformers saves them: each trains a step, or is refused with the remedy."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf
from support.refusals import refused

from qtha_lab import models, tasks
from qtha_lab.adapters import add_adapter
from qtha_lab.analysis.updates.activations import bottlenecks, capture_inputs
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment, MethodChoice, Training
from qtha_lab.experiment.objectives import Reinforce
from qtha_lab.experiment.plan import resolve
from qtha_lab.training.evaluation import generate, predict

TOKENIZER = hf.AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
WORDS = len(TOKENIZER)
BASE: dict[str, Any] = {
    "vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 128,
}  # fmt: skip
GROUPED = BASE | {"num_key_value_heads": 1, "head_dim": 16}
SEQ2SEQ: dict[str, Any] = {
    "vocab_size": WORDS, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "max_position_embeddings": 128, "pad_token_id": 0,
    "decoder_start_token_id": 0,
}  # fmt: skip
T5: dict[str, Any] = {
    "vocab_size": WORDS, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2,
    "decoder_start_token_id": 0,
}  # fmt: skip
PICTURES: dict[str, Any] = {
    k: v for k, v in BASE.items() if k not in ("vocab_size", "max_position_embeddings")
}
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}


def build(name: str, config: dict, kind: str = "CausalLM") -> Callable[[], hf.PreTrainedModel]:
    """Return the function that makes a small model of a transformers class with random weights."""

    def make() -> hf.PreTrainedModel:
        settings = getattr(hf, f"{name}Config")(**config)
        return getattr(hf, f"{name}{'For' if kind else ''}{kind}")(settings)

    return make


GPT2 = {"vocab_size": WORDS, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
WRITES = {
    "llama": build("Llama", BASE),
    "mistral": build("Mistral", GROUPED),
    "mixtral": build("Mixtral", GROUPED | EXPERTS),
    "qwen2": build("Qwen2", GROUPED),
    "qwen3": build("Qwen3", GROUPED),
    "gemma": build("Gemma", GROUPED),
    "gemma2": build("Gemma2", GROUPED),
    "phi": build("Phi", BASE),
    "phi3": build("Phi3", BASE | {"pad_token_id": 0}),
    "stablelm": build("StableLm", BASE | {"num_key_value_heads": 2}),
    "starcoder2": build("Starcoder2", GROUPED),
    "olmo": build("Olmo", BASE),
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2)),
    "gpt_neox": build("GPTNeoX", BASE),
    "gpt_neo": build(
        "GPTNeo",
        {
            "vocab_size": WORDS,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "max_position_embeddings": 128,
        },
    ),
    "gptj": build("GPTJ", GPT2 | {"rotary_dim": 8}),
    "codegen": build("CodeGen", GPT2 | {"n_head": 4, "rotary_dim": 4}),
    "opt": build(
        "OPT",
        {
            "vocab_size": WORDS,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "ffn_dim": 64,
            "max_position_embeddings": 128,
            "word_embed_proj_dim": 32,
        },
    ),
    "bloom": build("Bloom", {"vocab_size": WORDS, "hidden_size": 32, "n_layer": 2, "n_head": 2}),
    "mpt": build(
        "Mpt", {"vocab_size": WORDS, "d_model": 32, "n_layers": 2, "n_heads": 2, "max_seq_len": 128}
    ),
    "falcon": build("Falcon", BASE),
    "mamba": build(
        "Mamba", {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    ),
}
CLASSIFIES = {
    "bert": build("Bert", BASE, "MaskedLM"),
    "roberta": build("Roberta", BASE, "MaskedLM"),
    "electra": build("Electra", BASE | {"embedding_size": 32}, "MaskedLM"),
    "albert": build("Albert", BASE | {"embedding_size": 32}, "MaskedLM"),
    "distilbert": build("DistilBert", {
        "vocab_size": WORDS, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64,
        "max_position_embeddings": 128,
    }, "MaskedLM"),
    "deberta-v2": build("DebertaV2", BASE, "MaskedLM"),
    "llama": WRITES["llama"],
    "gpt2": WRITES["gpt2"],
}  # fmt: skip
REWRITES = {
    "t5": build("T5", T5, "ConditionalGeneration"),
    "mt5": build("MT5", T5, "ConditionalGeneration"),
    "bart": build("Bart", SEQ2SEQ, "ConditionalGeneration"),
    "pegasus": build("Pegasus", SEQ2SEQ, "ConditionalGeneration"),
}
REFUSED = {
    "vit": (
        build("ViT", PICTURES | {"image_size": 32, "patch_size": 8}, "ImageClassification"),
        "causal language",
    ),
    "clip": (lambda: hf.CLIPTextModel(hf.CLIPTextConfig(**BASE)), "causal language model"),
    "bert": (CLASSIFIES["bert"], "an encoder without a causal-lm head"),
    "deberta-v2": (CLASSIFIES["deberta-v2"], "causal language model"),
    "bare llama": (lambda: hf.LlamaModel(hf.LlamaConfig(**BASE)), "lm_head.weight"),
}


def folder_of(path, make, tokenizer=True):
    torch.manual_seed(0)
    make().save_pretrained(path)
    if tokenizer:
        TOKENIZER.save_pretrained(path)
    return path


def described(folder, task, **choice):
    training = Training(steps=1, max_length=32, batch_size=2, eval_rows=4, test_rows=4)
    return Experiment(
        model=str(folder), task=str(task), training=training, method=MethodChoice(**choice)
    )


def step(experiment) -> list[float]:
    """Check an experiment, take one step of its adapter, and return the sizes of the gradients."""
    experiment.check()
    plan = resolve(experiment)
    base = models.load_model(experiment.model, head=plan.head, n_labels=plan.n_labels)
    model = add_adapter(base.model, plan.config)
    rows = plan.task.encode(plan.task.train[:2], base.tokenizer, 32)
    loss = model(**tasks.collate(base.tokenizer)(rows)).loss
    loss.backward()
    assert torch.isfinite(loss)
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    silent = [n for n, p in named if "lora_B" in n and p.grad is None]
    assert not silent
    return [float(p.grad.norm()) for n, p in named if p.grad is not None]


@pytest.fixture
def classes(tmp_path):
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(60)]
    path = tmp_path / "classes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_thirty_folders_of_twenty_five_architectures_are_listed():
    makes = {
        **WRITES,
        **REWRITES,
        **CLASSIFIES,
        **{name: make for name, (make, _) in REFUSED.items()},
    }
    kinds = {make().config.model_type for make in makes.values()}
    assert len(WRITES) + len(REWRITES) + len(CLASSIFIES) + len(REFUSED) >= 30
    assert len(kinds) >= 25


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set")
@pytest.mark.filterwarnings("ignore:`loss_type=None` was set")
def test_a_decoder_trains_on_answers(tmp_path, name):
    gradients = step(described(folder_of(tmp_path / "model", WRITES[name]), "qa", name="lora"))
    assert max(gradients) > 0


@pytest.mark.parametrize("name", REWRITES)
def test_an_encoder_with_a_decoder_trains_on_prompts_and_answers(tmp_path, name):
    experiment = described(folder_of(tmp_path / "model", REWRITES[name]), "qa", name="lora")
    plan = resolve(experiment)
    assert (plan.head, plan.task_type) == ("seq2seq", "SEQ_2_SEQ_LM")
    assert max(step(experiment)) > 0


def test_the_evaluation_of_an_encoder_with_a_decoder_is_the_loss_of_transformers(tmp_path):
    folder = folder_of(tmp_path / "model", REWRITES["t5"])
    plan = resolve(described(folder, "qa", name="lora"))
    base = models.load_model(str(folder), head="seq2seq")
    rows = plan.task.encode(plan.task.eval, base.tokenizer, 32)
    collate = tasks.collate(base.tokenizer)
    base.model.eval()
    with torch.no_grad():
        expected = float(base.model(**collate(rows)).loss)
        scores = predict(base.model, rows, collate, 2, lambda: None).scores("lm")
        answers = generate(base.model, base.tokenizer, ["Who?"], max_new_tokens=3, size=1)
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    assert len(answers) == 1


def test_layers_of_a_decoder_are_recorded_at_the_tokens_of_the_answer(tmp_path):
    experiment = described(
        folder_of(tmp_path / "model", REWRITES["t5"]), "qa", name="qtha", options={"r": 2}
    )
    plan = resolve(experiment)
    base = models.load_model(experiment.model, head=plan.head)
    model = add_adapter(base.model, plan.config)
    batch = tasks.collate(base.tokenizer)(plan.task.encode(plan.task.train[:2], base.tokenizer, 32))
    inputs = capture_inputs(model, batch)
    prompt, answer = int(batch["attention_mask"].sum()), int((batch["labels"] >= 0).sum())
    assert prompt != answer
    for name, x in inputs.items():
        decodes = name.startswith("decoder.") and "EncDec" not in name
        assert len(x) == (answer if decodes or name.endswith("EncDecAttention.q") else prompt), name
    assert set(bottlenecks(model, batch)) == set(inputs)


@pytest.mark.parametrize(
    "settings", [{"gradient_accumulation": 2}, {"objective": Reinforce()}], ids=["parts", "reward"]
)
def test_what_an_encoder_with_a_decoder_cannot_do_is_refused(tmp_path, settings):
    experiment = described(folder_of(tmp_path / "model", REWRITES["t5"]), "qa", name="lora")
    experiment = experiment.replace(training=experiment.training.replace(**settings))
    with refused(rule="must not be set for an encoder with a decoder"):
        experiment.check()


@pytest.mark.parametrize("name", CLASSIFIES)
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set")
def test_a_classifier_trains_on_labels(tmp_path, classes, name):
    gradients = step(
        described(folder_of(tmp_path / "model", CLASSIFIES[name]), classes, name="lora")
    )
    assert max(gradients) > 0


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_write_is_refused_with_the_remedy(tmp_path, name):
    make, fault = REFUSED[name]
    folder = folder_of(tmp_path / "model", make, tokenizer=name not in ("vit",))
    with pytest.raises(Refusal) as record:
        described(folder, "qa", name="lora").check()
    message = str(record.value)
    assert fault in message
    assert "Choose a causal" in message or "Save the model with its language-modelling" in message
    assert "fault of qtha-lab" not in message
    assert len(message.replace(str(tmp_path), "")) <= 300


@pytest.mark.parametrize("method", ["lora", "qtha"])
def test_all_linear_is_a_value_in_python_and_in_the_shell(tmp_path, method):
    folder = folder_of(tmp_path / "model", WRITES["llama"])
    choice = MethodChoice.parse(f"{method}(target_modules=all-linear)")
    assert choice == MethodChoice(name=method, target_modules="all-linear")
    assert choice.target_modules == ["all-linear"]
    experiment = described(folder, "qa").replace(method=choice)
    plan = resolve(experiment)
    assert len(plan.layout.sizes) == 14  # seven linear layers in each of two blocks
    assert max(step(experiment)) > 0


def test_an_architecture_without_usual_targets_adapts_all_linear_layers(tmp_path):
    folder = folder_of(tmp_path / "model", WRITES["olmo"])
    assert models.default_target_modules(str(folder)) == "all-linear"
    assert resolve(described(folder, "qa", name="lora")).target_modules == "all-linear"


def test_layers_of_mamba_without_a_gradient_are_left_out(tmp_path):
    folder = folder_of(tmp_path / "model", WRITES["mamba"])
    assert models.default_target_modules(str(folder)) == ["in_proj", "x_proj"]


def test_a_folder_of_gguf_is_named(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model-Q4_K_M.gguf").write_bytes(b"GGUF")
    with refused(value="a GGUF file"):
        models.check_model(str(tmp_path / "model"))
