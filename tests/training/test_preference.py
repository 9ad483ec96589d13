"""Preference pairs: TRL's losses, margins of zero at the start, and margins that rise."""

import json
import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.refusals import refused
from support.small_models import make
from support.trained_runs import finished
from transformers import AutoTokenizer

from qtha_lab import adapters, models
from qtha_lab.adapters import QthaConfig, get_method
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment, Preference, Training
from qtha_lab.experiment.check_data import check_data
from qtha_lab.experiment.cost.preview import passes
from qtha_lab.experiment.plan import Plan
from qtha_lab.experiment.validation import check_rows
from qtha_lab.tasks import collate, load_task
from qtha_lab.tasks.task import PAIR, Task
from qtha_lab.training.evaluation import predict
from qtha_lab.training.preference import PairObjective, margins, pair_losses

WORDS = ["river", "engine", "violin", "harbour", "lantern", "meadow", "compass", "orchard"]
PAIRS = [
    {
        "prompt": f"Where is the {WORDS[i % 8]} number {i}?",
        "chosen": f"It is near the {WORDS[(i // 8) % 8]}.",
        "rejected": "Nobody knows that.",
    }
    for i in range(60)
]
CONFIGS = {
    "qtha": QthaConfig(r=2, waist=8, bond_dim=2, target_modules=["q_proj"]),
    "lora": LoraConfig(r=2, target_modules=["q_proj"]),
}


class Padding:
    """A tokenizer whose padding is the token 0."""

    pad_token_id = 0


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return str(file)


def encoded_pair(prompt, chosen, rejected):
    sides = [
        {
            "input_ids": [*prompt, *answer],
            "attention_mask": [1] * len([*prompt, *answer]),
            "labels": [-100] * len(prompt) + [*answer],
        }
        for answer in (chosen, rejected)
    ]
    return sides[0] | {"rejected": sides[1]}


# rows


def test_a_pair_has_labels_at_its_two_answers_alone(tokenizer):
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Where?"},
    ]
    row = {"messages": messages, "chosen": "Here.", "rejected": "Nowhere at all.", "key": "Hi"}
    task = Task("mine", "preference", [row], [], [], (), "", "")
    (pair,) = task.encode([row], tokenizer, 128)
    for side, encoded in zip(PAIR, (pair, pair["rejected"]), strict=True):
        answer = [label for label in encoded["labels"] if label != -100]
        assert tokenizer.decode(answer) == f"{row[side]}<|im_end|>"
    batch = collate(tokenizer)([pair])
    sides = zip(batch["input_ids"], batch["attention_mask"], strict=True)
    texts = [tokenizer.decode(ids[mask.bool()]) for ids, mask in sides]
    assert texts == [tokenizer.decode(side["input_ids"]) for side in (pair, pair["rejected"])]
    with refused("max_length", "8 for 1 rows"):
        task.encode([row], tokenizer, 8)


def test_pairs_of_a_prompt_are_on_one_side_and_are_described(path):
    task = load_task(path)
    assert (task.kind, task.split_key, task.labels) == ("preference", "prompt", ())
    assert task.prompts(
        task.eval[:1], AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    )
    report = check_data(path)
    assert report.kind == "preference"
    chosen, rejected = report.examples[0].split("\nrejected: ")
    assert "⟦It is near the " in chosen
    assert "⟦Nobody knows that." in rejected
    assert "Set objective=preference, which trains on preference pairs." in report.advice


# the loss


def test_the_loss_of_a_pair_is_minus_log_sigma_of_its_margin():
    values = pair_losses(torch.tensor([0.0, math.log(3)]))
    torch.testing.assert_close(values, torch.tensor([math.log(2), math.log(4 / 3)]))


@pytest.mark.parametrize("name", CONFIGS)
def test_training_raises_the_margin_from_zero_and_no_weight_of_the_base_moves(name):
    torch.manual_seed(0)
    model = get_peft_model(make("llama"), CONFIGS[name])
    before = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    rows = [encoded_pair([3, 4 + i], [7, 8, 1], [9 + i, 5, 6, 1]) for i in range(4)]
    batch = collate(Padding())(rows)
    objective = PairObjective(beta=0.5)
    assert torch.equal(margins(model.eval(), batch, 0.5), torch.zeros(4))
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    model.train()
    for _ in range(20):
        optimiser.zero_grad()
        objective.loss(model, batch, None).backward()
        optimiser.step()
    assert model.training
    with torch.no_grad():
        predictions = predict(model.eval(), rows, collate(Padding()), 2, lambda: None, 0.5)
    scores = predictions.scores("preference")
    assert scores["margin"] > 0.1
    assert scores["pair_accuracy"] == 1
    assert scores["loss"] < math.log(2)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters() if n in before)


def test_an_initialisation_that_moves_the_base_leaves_the_reference_in_place():
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights="pissa")
    model = adapters.add_initialised(make("llama"), config, [])
    batch = collate(Padding())([encoded_pair([3, 4], [7, 1], [9, 5, 1])])
    torch.testing.assert_close(margins(model.eval(), batch, 1.0), torch.zeros(1), atol=1e-5, rtol=0)


# TRL 1.16 calls what transformers 5.23 has renamed
@pytest.mark.filterwarnings("ignore:.*deprecated and will be removed:FutureWarning")
@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_is_that_of_the_trainer_of_trl(name, tmp_path, tokenizer):
    trl = pytest.importorskip("trl", reason="TRL is in the [test] extra")
    from datasets import Dataset

    torch.manual_seed(0)
    options = {"init_lora_weights": False} if name == "lora" else {"init_weights": False}
    config = type(CONFIGS[name])(**CONFIGS[name].to_dict() | options | {"peft_type": None})
    arguments = trl.DPOConfig(str(tmp_path), report_to=[], use_cpu=True, beta=0.3)
    trainer = trl.DPOTrainer(
        models.load_model("tiny").model,
        args=arguments,
        train_dataset=Dataset.from_list(PAIRS[:4]),
        processing_class=tokenizer,
        peft_config=config,
    )
    examples = [trainer.train_dataset[i] for i in range(4)]
    rows = [encoded_pair(*(e[f"{n}_ids"] for n in ("prompt", *PAIR))) for e in examples]
    model = trainer.model.eval()
    with torch.no_grad():
        theirs = trainer.compute_loss(model, trainer.data_collator(examples))
        ours = PairObjective(0.3).loss(model, collate(tokenizer)(rows), None)
    assert abs(ours - math.log(2)) > 1e-3
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


# runs


def experiment(path, method="lora(r=2)", **training):
    counts = {"eval_rows": 6, "test_rows": 6, "train_rows": 24, "generate_rows": 1}
    return Experiment(task=path, method=method, training=Training(**counts | training))


def test_pairs_and_their_objective_go_together(path):
    with refused("objective", "supervised", remedy="objective=preference"):
        check_rows(Plan(experiment(path)))
    with refused("task", "qa, a task of kind lm"):
        check_rows(Plan(experiment("qa", objective="preference")))
    check_rows(Plan(experiment(path, objective="preference")))


def test_a_step_counts_both_answers_and_the_pass_of_the_base(path):
    described = experiment(path, objective="preference", preference_beta=0.2, batch_size=4)
    assert described.training.objective == Preference(beta=0.2)
    assert described.training.rows_per_pass == 8
    assert passes(described).of_time == pytest.approx(4 / 3)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["qtha(r=4,waist=16)", "lora(r=4)"])
def test_a_run_on_pairs_raises_the_margin_of_held_out_pairs(method, path, tmp_path):
    described = experiment(
        path, method, objective="preference", steps=10, batch_size=4, eval_every=10, max_length=32
    )
    files = finished(described, tmp_path / "runs")
    summary = json.loads(files.summary.read_text())
    assert summary["eval_loss_start"] == pytest.approx(math.log(2), abs=1e-6)
    assert summary["eval_loss"] < math.log(2)
    assert summary["margin"] > 0
    assert get_method(described.method.name).name in (files.adapter / "README.md").read_text()
    assert "in nats per pair" in (files.adapter / "README.md").read_text()
