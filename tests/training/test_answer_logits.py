"""Loss and gradients from the answers' logits alone are those from all logits, for every family of
model.
"""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig
from support.small_models import make
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
)

from qtha_lab import adapters, tasks
from qtha_lab.core.paths import data_dir
from qtha_lab.tasks.task import Collate
from qtha_lab.training import evaluation
from qtha_lab.training.evaluation import by_length
from qtha_lab.training.objective import Answers, has_plain_loss, head_of
from qtha_lab.training.trainer import FineTuner

NAMES = {  # what the families call their sizes
    "hidden_size": 32,
    "n_embd": 32,
    "d_model": 32,
    "intermediate_size": 40,
    "ffn_dim": 40,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 48,
    "word_embed_proj_dim": 32,
    "max_position_embeddings": 64,
    "n_positions": 64,
    "max_seq_len": 64,
    "num_local_experts": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "attention_dropout": 0.0,
    "dropout": 0.0,
    "hidden_dropout": 0.0,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}
FAMILIES = {
    "llama": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {},
    "gemma2": {},
    "phi": {},
    "gpt2": {},
    "gpt_neox": {},
    "opt": {},
    "bloom": {},
    "mpt": {},
    "olmo2": {},
    "granite": {},
    "cohere": {},
    "stablelm": {},
    "mixtral": {},
    "bert": {"is_decoder": True},
    "roberta": {"is_decoder": True},
}
# float32 numbers of one size, summed in another order: a few last digits
LOSS, GRADIENT = {"rel": 2e-6}, {"rtol": 2e-5, "atol": 2e-7}
COLLATE = Collate(pad_token_id=2)


def family(name):
    """A tiny model of a family with random weights, large enough for its logits to differ."""
    usual = AutoConfig.for_model(name)
    sizes = {key: size for key, size in NAMES.items() if hasattr(usual, key)}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(name, **(sizes | FAMILIES[name])), attn_implementation="eager"
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


@functools.cache
def rows():
    """Rows of several lengths, each with one or two answers."""
    numbers = torch.Generator().manual_seed(1)
    made = []
    for length in (9, 4, 17, 6, 6, 12, 3):
        ids = torch.randint(3, 48, (length,), generator=numbers).tolist()
        labels = [-100] * (length - 2) + ids[-2:]
        if length > 8:
            labels[3:5] = ids[3:5]
        made.append({"input_ids": ids, "attention_mask": [1] * length, "labels": labels})
    return made


def loss_of_all_logits(model):
    """Row by row, without padding, every logit computed: the mean over the answers' tokens."""
    losses, right, count = 0.0, 0, 0
    for row in rows():
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].float()
        labels = torch.tensor(row["labels"][1:])
        losses += functional.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(-1) == labels).sum())
        count += int((labels != -100).sum())
    return losses / count, right / count


@pytest.mark.parametrize("name", FAMILIES)
def test_an_evaluation_is_that_of_all_logits(name):
    model = family(name)
    with evaluation.evaluating(model):
        scores = evaluation.predict(model, rows(), COLLATE, 3, lambda: None).scores("lm")
        loss, right = loss_of_all_logits(model)
    assert scores["loss"] == pytest.approx(loss, **LOSS)
    assert scores["token_accuracy"] == right


def logits_computed(model, call):
    """Return the number of positions that the head received in a call, and its result."""
    seen = []
    handle = head_of(model).register_forward_hook(
        lambda m, i, out: seen.append(out[..., 0].numel())
    )
    try:
        result = call()
    finally:
        handle.remove()
    return sum(seen), result


def test_the_head_is_given_the_positions_before_answers_and_no_padding_of_other_lengths():
    model = make("llama")
    answers = sum(label != -100 for row in rows() for label in row["labels"][1:])
    with evaluation.evaluating(model):
        count, _ = logits_computed(
            model, lambda: evaluation.predict(model, rows(), COLLATE, 3, lambda: None).scores("lm")
        )
    assert count == answers == 7 * 2 + 3 * 2


def trained(trainer_class, model, folder, **options):
    """Loss and gradients of one batch of all rows, in two parts that are one step."""
    arguments = TrainingArguments(
        str(folder), use_cpu=True, remove_unused_columns=False, label_names=["labels"],
        gradient_accumulation_steps=2, report_to=[], disable_tqdm=True,
    )  # fmt: skip
    trainer = trainer_class(model=model, args=arguments, **options)
    model.train()
    parts = [COLLATE(rows()[:4]), COLLATE(rows()[4:])]
    _, count = trainer.get_batch_samples(iter(parts), 2, torch.device("cpu"))
    losses = [trainer.training_step(model, dict(part), count) for part in parts]
    return float(sum(losses)), {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_step_has_the_loss_and_gradients_of_all_logits(name, tmp_path):
    loss, gradients = trained(Trainer, family(name), tmp_path)
    narrow, of_answers = trained(FineTuner, family(name), tmp_path, head_learning_rate=None)
    assert narrow == pytest.approx(loss, **LOSS)
    for name, gradient in gradients.items():
        torch.testing.assert_close(of_answers[name], gradient, **GRADIENT)


def test_a_training_step_computes_the_logits_of_answers_alone_under_an_adapter(tmp_path):
    config = LoraConfig(r=2, target_modules=["q_proj", "lm_head"], task_type="CAUSAL_LM")
    model = adapters.add_adapter(make("llama"), config)
    count, (loss, _) = logits_computed(
        model, lambda: trained(FineTuner, model, tmp_path, head_learning_rate=None)
    )
    assert count == 20
    assert loss == pytest.approx(trained(Trainer, model, tmp_path)[0], **LOSS)


def test_a_loss_with_more_in_it_than_answers_is_left_to_the_model():
    model = family("mixtral")
    assert has_plain_loss(model)
    model.config.output_router_logits = True
    assert not has_plain_loss(model)
    assert not has_plain_loss(make("bert"))


def test_a_model_without_a_head_computes_all_logits():
    values = torch.randn(2, 4, 3)
    answers = Answers(torch.tensor([[-100, -100, 7, 8], [-100, 9, -100, -100]]))
    model = torch.nn.Identity()
    with answers.at_the_head(model):
        logits = model(values)
    assert torch.equal(answers.select(logits), values[[0, 0, 1], [1, 2, 0]])


def test_the_first_token_of_a_row_is_predicted_by_nothing():
    assert Answers(torch.tensor([[5, -100, 6]])).tokens.tolist() == [6]


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 9))
def test_batches_hold_every_row_once_and_no_more_than_their_share(lengths, size):
    batches = list(by_length(lengths, size))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    widths = [max(lengths[row] for row in batch) for batch in batches]
    assert widths == sorted(widths, reverse=True)
    for batch, width in zip(batches, widths, strict=True):
        assert len(batch) <= size or len(batch) * width <= size * max(lengths)


def test_answers_come_in_the_order_of_their_prompts():
    from qtha_lab import models

    base = models.load_model("tiny")
    task = tasks.load_task("qa", eval_rows=9)
    tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    prompts = [prompt for prompt, _ in task.prompts(task.eval, tokenizer)]
    assert len({len(prompt) for prompt in prompts}) > 3

    def answers(prompts, size):
        with evaluation.evaluating(base.model):
            return evaluation.generate(base.model, tokenizer, prompts, max_new_tokens=6, size=size)

    assert answers(prompts, 4) == [answers([prompt], 1)[0] for prompt in prompts]
