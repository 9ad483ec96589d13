"""REINFORCE on what answers earn.

Its gradient by hand and in expectation, nothing learnt from nothing, resumed runs.
"""

import copy

import pytest
import torch
from peft import LoraConfig
from support import small_models
from support.refusals import refused
from support.trained_runs import finished, measured, work
from transformers import AutoTokenizer

from qtha_lab import adapters
from qtha_lab.cli import main
from qtha_lab.core.paths import data_dir
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Comparison, Experiment, Reinforce, Training
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import read_events
from qtha_lab.tasks import collate, load_task
from qtha_lab.training.reinforce import (
    Reward,
    advantages,
    drawing,
    prompts_and_answers,
    sample,
)

PROMPT = [5, 11, 3]


class Numbers:
    """A tokenizer whose words are the numbers of its tokens."""

    pad_token_id = 2

    def batch_decode(self, rows, skip_special_tokens):
        return [" ".join(map(str, row)) for row in rows]


@pytest.fixture
def model():
    """A small language model with a LoRA of random numbers."""
    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules=small_models.TARGETS["llama"], init_lora_weights=False)
    return adapters.add_adapter(small_models.make("llama"), config)


def batch(rows=1, answer=(7, 1)):
    labels = [-100] * len(PROMPT) + list(answer)
    ids = torch.tensor([PROMPT + list(answer)] * rows)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.tensor([labels] * rows),
    }


def reward(score, samples=4, longest=3):
    return Reward(Numbers(), Reinforce(samples=samples), longest, 0, score)


def gradients(model):
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def even(outputs, references):
    """1 for an answer whose first token is an even number."""
    return [float(int(text.split()[0]) % 2 == 0) for text in outputs]


def test_nobody_learns_where_every_answer_earns_nothing(model):
    before = copy.deepcopy(model.state_dict())
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], weight_decay=0.0)
    for _ in range(3):
        adam.zero_grad()
        loss = reward(lambda outputs, references: [0.0] * len(outputs)).loss(model, batch(2), None)
        assert loss.item() == 1.0
        loss.backward()
        adam.step()
    assert gradients(model)
    assert all(not gradient.any() for gradient in gradients(model).values())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_gradient_is_the_formula_of_the_answers_that_were_drawn(model):
    written = []

    def score(outputs, references):
        assert references == ["7 1"] * 8
        written.extend([[int(word) for word in text.split()] for text in outputs])
        return [0.5, 1.0, 0.0, 0.25, 1.0, 1.0, 0.0, 0.0]

    loss = reward(score).loss(model, batch(2), None)
    assert loss.item() == pytest.approx(1 - 3.75 / 8)
    loss.backward()
    ours = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad()
    assert len({tuple(row) for row in written}) > 1
    # what each earns above the mean of the three others
    gains = [
        0.5 - 1.25 / 3,
        1 - 0.75 / 3,
        -1.75 / 3,
        0.25 - 0.5,
        1 - 1 / 3,
        1 - 1 / 3,
        -2 / 3,
        -2 / 3,
    ]
    total = torch.zeros(())
    for row, gain in zip(written, gains, strict=True):
        logits = model(input_ids=torch.tensor([PROMPT + row])).logits[0]
        logs = logits.log_softmax(-1)[len(PROMPT) - 1 : -1]
        total = total - gain * sum(logs[i, token] for i, token in enumerate(row)) / 8
    total.backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6)


def test_many_answers_give_the_gradient_of_the_expected_reward(model):
    """With one token an answer E[R] is a sum over the vocabulary: Σ_v π(v) R(v)."""
    reward(even, samples=6000, longest=1).loss(model, batch(), None).backward()
    ours = torch.cat([gradient.flatten() for gradient in gradients(model).values()])
    model.zero_grad()
    probabilities = model(input_ids=torch.tensor([PROMPT])).logits[0, -1].softmax(-1)
    (-probabilities[0::2].sum()).backward()
    exact = torch.cat([gradient.flatten() for gradient in gradients(model).values()])
    assert torch.cosine_similarity(ours, exact, dim=0) > 0.95
    assert ours.norm() / exact.norm() == pytest.approx(1, abs=0.15)


def test_what_answers_earn_alike_moves_nothing_and_the_mean_of_gains_is_zero():
    assert advantages(torch.tensor([0.4] * 6), 3).abs().max() < 1e-6
    gains = advantages(torch.tensor([1.0, 0.2, 0.6, 0.0, 0.0, 0.9]), 3).reshape(2, 3)
    assert gains.sum(1).abs().max() < 1e-6


def test_draws_depend_on_seed_and_step_alone_and_leave_random_numbers_as_they_were(model):
    def drawn(seed, step):
        with drawing(seed, step, 0, device=torch.device("cpu")):
            return sample(model, [PROMPT] * 4, 6, pad=2)

    torch.manual_seed(3)
    state, mode = torch.get_rng_state(), model.training
    first = drawn(0, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    assert drawn(0, 5) == first
    assert drawn(0, 6) != first
    assert drawn(1, 5) != first
    assert model.training is mode


def test_answers_end_with_the_first_token_that_ends_one(model):
    rows = sample(model, [PROMPT, [4]] * 40, 12, pad=2)
    assert all(1 <= len(row) <= 12 for row in rows)
    assert all(1 not in row[:-1] for row in rows)  # token 1 ends an answer of this model
    assert any(row[-1] == 1 for row in rows)


@pytest.mark.parametrize("name", ["qa", "chat"])
def test_prompts_and_answers_are_those_of_the_task(name):
    tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    task = load_task(name, seed=0, train_rows=12, eval_rows=2, test_rows=2)
    encoded = task.encode(task.train, tokenizer, 512)
    pairs = list(prompts_and_answers(collate(tokenizer)(encoded)))
    assert len(pairs) == 12
    for (prompt, answer), (text, reference) in zip(
        pairs, task.prompts(task.train, tokenizer), strict=True
    ):
        assert prompt == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(answer, skip_special_tokens=True).strip() == reference.strip()


# where it makes sense


@pytest.mark.parametrize(
    ("fields", "training", "setting", "value"),
    [
        (
            {"task": "supersense", "model": "tiny"},
            {},
            "task",
            "the classification task supersense",
        ),
        ({}, {"max_length": 500}, "max_length + max_new_tokens", "500 + 32"),
    ],
)
def test_a_reward_that_makes_no_sense_is_refused(fields, training, setting, value):
    training = {"objective": "reinforce", "train_rows": 16} | training
    with refused(setting, value):
        Experiment(**fields, training=training).check()


@pytest.mark.parametrize(
    ("training", "setting", "value"),
    [
        ({"teacher": "RUN"}, "teacher", "objective=reinforce"),
        (
            {"objective": "supervised", "reward": "rouge1"},
            "reward",
            "objective=supervised",
        ),
    ],
)
def test_contradictory_objectives_cannot_be_described(training, setting, value):
    with refused(setting, value):
        Training(**{"objective": "reinforce"} | training)


def test_settings_of_a_reward_have_their_limits():
    with refused("reward_samples", "1"):
        Training(objective="reinforce", reward_samples=1)
    with refused("objective", "'reinfroce'", remedy="'reinforce'"):
        Training(objective="reinfroce")


def test_form_yaml_command_and_python_have_it(capsys, monkeypatch):
    experiment = Experiment(
        method="qtha(r=4)",
        training={"objective": "reinforce", "reward": "rouge1", "reward_samples": 3},
    )
    assert settings_of(Training)["objective"].choices == (
        "supervised",
        "distillation",
        "reinforce",
        "preference",
    )
    assert Experiment.from_yaml(experiment.to_yaml()) == experiment
    assert "objective" in experiment.to_python()
    assert (
        experiment.to_command()
        == "qtha-lab run --method 'qtha(r=4)' --objective reinforce --reward rouge1"
        " --reward-samples 3"
    )
    monkeypatch.setattr(
        "sys.argv", ["qtha-lab", *experiment.to_command().replace("'", "").split()[1:], "--dry-run"]
    )
    with pytest.raises(SystemExit, match="0"):
        main()
    assert Experiment.from_yaml(capsys.readouterr().out) == experiment
    assert Comparison(training={"objective": "reinforce"}).training.objective == Reinforce()


# real runs

ROWS = {
    "steps": 4,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 14,
    "eval_rows": 4,
    "test_rows": 4,
    "eval_every": 2,
    "checkpoint_every": 2,
    "generate_rows": 2,
    "spectrum_every": 0,
    "threads": 1,
    "objective": "reinforce",
    "max_new_tokens": 12,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "more"),
    [("qa", {"gradient_accumulation": 2}),
     ("chat", {"phases": "linear(steps=2,use_circuit=false),all(steps=2,train=[W_q,angles,B])"})],
)  # fmt: skip
def test_a_run_that_is_rewarded_goes_on_with_the_same_bits(task, more, tmp_path):
    experiment = Experiment(task=task, method="qtha(r=2,waist=4,n_layers=1)", training=ROWS | more)
    straight = finished(experiment, tmp_path / "straight")
    losses = [e["loss"] for e in measured(straight) if e["kind"] == "train"]
    assert len(losses) == 4
    assert all(0 <= loss <= 1 for loss in losses)
    assert len(set(losses)) > 1
    stopped = RunDir.create(experiment, tmp_path / "stopped")
    assert work(stopped, until=2).state == "stopped"
    assert work(stopped).state == "finished"
    assert measured(stopped) == measured(straight)
    notes = [e["message"] for e in read_events(stopped.events)[0] if e["kind"] == "note"]
    assert (
        notes.count(
            "Train losses are 1 − the mean rougeL of sampled answers; evaluation losses are in"
            " nats."
        )
        == 1
    )
