"""A classification head can be trained at a rate of its own; the adapter's rate is not touched."""

import pytest
import torch
from support.refusals import refused

from qtha_lab import adapters, models
from qtha_lab.adapters.tensor_groups import HEAD, group_of
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.plan import resolve
from qtha_lab.training.run_trainer import training_arguments
from qtha_lab.training.trainer import FineTuner


def trainer_of(experiment, folder):
    base = models.load_model("tiny", head="classification", n_labels=3)
    model = adapters.add_adapter(base.model, resolve(experiment).config)
    trainer = FineTuner(
        head_learning_rate=experiment.training.head_learning_rate,
        model=model,
        args=training_arguments(experiment, 0.001, folder),
    )
    trainer.create_optimizer_and_scheduler(10)
    return trainer


def experiment_with(**training):
    training |= {"warmup_fraction": 0.0, "schedule": "linear", "weight_decay": 0.1}
    return Experiment(task="supersense", method="lora(r=2)", training=training)


def rates(trainer):
    """The rate of every trained parameter.

    A parameter in two groups or none is a KeyError or a clash.
    """
    names = {id(p): name for name, p in trainer.model.named_parameters() if p.requires_grad}
    pairs = [
        (names.pop(id(p)), group["lr"])
        for group in trainer.optimizer.param_groups
        for p in group["params"]
    ]
    assert not names
    return dict(pairs)


def test_the_head_has_its_rate_and_the_adapter_keeps_its_own(tmp_path):
    trainer = trainer_of(experiment_with(head_learning_rate=0.05), tmp_path)
    by_name = rates(trainer)
    assert {rate for name, rate in by_name.items() if HEAD in name} == {0.05}
    assert {rate for name, rate in by_name.items() if HEAD not in name} == {0.001}
    assert trainer.lr_scheduler.get_last_lr()[0] == 0.001  # what the log tells is the adapter's


def test_the_schedule_lowers_both_alike(tmp_path):
    trainer = trainer_of(experiment_with(head_learning_rate=0.05), tmp_path)
    for _ in range(5):
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert sorted(set(rates(trainer).values())) == pytest.approx([0.0005, 0.025])


def test_without_one_all_have_the_same_rate(tmp_path):
    assert set(rates(trainer_of(experiment_with(), tmp_path)).values()) == {0.001}


def tensor_rates(method, ratios, folder):
    described = Experiment(method=method, training={"rate_ratios": ratios, "warmup_fraction": 0.0})
    base = models.load_model("tiny")
    model = adapters.add_adapter(base.model, resolve(described).config)
    trainer = FineTuner(
        head_learning_rate=None, rate_ratios=described.training.rate_ratios, model=model,
        args=training_arguments(described, 0.001, folder),
    )  # fmt: skip
    trainer.create_optimizer_and_scheduler(10)
    by_group = {}
    for name, rate in rates(trainer).items():
        by_group.setdefault(group_of(name), set()).add(rate)
    return by_group


def test_groups_of_tensors_have_their_rates(tmp_path):
    assert tensor_rates("lora(r=2)", {"B": 16}, tmp_path) == {"A": {0.001}, "B": {0.016}}
    small = "qtha(r=2,waist=8,bond_dim=2)"
    by_group = tensor_rates(small, {"angles": 10, "cores": 0.5}, tmp_path)
    assert by_group["angles"] == {0.01}
    assert by_group["cores"] == {0.0005}
    assert by_group.keys() == {"A", "B", "W_c", "W_q", "angles", "cores"}
    assert by_group["A"] == by_group["W_q"] == {0.001}


def test_a_group_that_is_not_there_is_refused(tmp_path):
    with refused("group of tensors", "'angles'"):
        tensor_rates("lora(r=2)", {"angles": 10}, tmp_path)
    with refused("training.rate_ratios: rate_ratios", "B=-1"):
        Experiment(training={"rate_ratios": {"B": -1}})


def test_a_group_that_a_method_does_not_train_is_refused_before_any_run():
    training = {"rate_ratios": {"B": 8, "angles": 3}}
    Experiment(method="qtha(r=2,waist=8,bond_dim=2)", training=training).check()
    with refused("group of tensors of lora in rate_ratios", "'angles'"):
        Comparison(methods=["qtha(r=2,waist=8,bond_dim=2)", "lora(r=2)"], training=training).check()


def test_the_optimiser_is_that_of_the_trainer_or_another(tmp_path):
    usual, other = (
        trainer_of(experiment_with(**chosen), tmp_path).optimizer
        for chosen in ({}, {"optimizer": "sgd"})
    )
    assert isinstance(usual, torch.optim.AdamW)
    assert isinstance(other, torch.optim.SGD)


def test_a_head_rate_is_refused_where_no_head_is_trained():
    described = Experiment(task="qa", method="lora", training={"head_learning_rate": 0.01})
    with refused("head_learning_rate", "0.01"):
        described.check()


def test_flags_files_and_labels_carry_the_head_rate():
    described = experiment_with(head_learning_rate=0.05)
    assert "--head-learning-rate 0.05" in described.to_command()
    assert Experiment.from_yaml(described.to_yaml()) == described
