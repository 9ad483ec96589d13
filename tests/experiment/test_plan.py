"""A plan.

What follows from an experiment is worked out once, and anew where anything it depends on changed.
"""

import dataclasses
import json
import threading
import time
from collections import Counter

import pytest
from support.refusals import refused

import qtha_lab.models
import qtha_lab.tasks
from qtha_lab import adapters
from qtha_lab.adapters import adapted_model
from qtha_lab.experiment import Comparison, Experiment, Training, plan, validation
from qtha_lab.experiment.cache import Cache
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.plan import resolve

TRAINING = Training(threads=1)


@pytest.fixture
def calls(monkeypatch) -> Counter:
    """Count loads of rows, models and adapters, from a state in which
    nothing is known.
    """
    counts: Counter = Counter()

    def count(module, name):
        function = getattr(module, name)

        def counted(*arguments, **options):
            kind = name
            if name == "get_peft_model":
                kind += " on " + next(arguments[0].parameters()).device.type
            counts[kind] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counted)

    count(qtha_lab.tasks, "load_task")
    count(qtha_lab.models, "empty_model")
    count(adapted_model, "skeleton")
    count(adapted_model, "get_peft_model")
    for name in ("_TASKS", "_MODELS", "_LENGTHS", "_LAYOUTS"):
        monkeypatch.setattr(plan, name, Cache(name, most=8))
    return counts


def enter(comparison: Comparison) -> list:
    """Compute everything that one entry in the form requires.

    The check of a comparison, then each method's preview.
    """
    comparison.check()
    return [preview(experiment) for experiment in comparison.experiments()]


def test_one_entry_loads_one_task_and_one_model_and_adapts_it_once_a_method(calls):
    comparison = Comparison(methods=["lora", "qtha(r=4,waist=16)"], training=TRAINING)
    enter(comparison)
    assert calls["load_task"] == 1
    assert calls["empty_model"] == 1
    assert calls["skeleton"] == calls["get_peft_model on meta"] == 2
    # steps are timed on a model with weights, which a plan has not
    assert sum(calls.values()) - calls["get_peft_model on meta"] - 2 - 2 <= 2


def test_an_entry_that_changes_no_size_counts_nothing_again(calls):
    comparison = Comparison(methods=["lora", "qtha(r=4,waist=16)"], training=TRAINING)
    comparison.check()
    before = Counter(calls)
    comparison.replace(training=TRAINING.replace(steps=7, eval_every=3)).check()
    assert calls == before
    comparison.replace(methods=["lora", "qtha(r=5,waist=16)"]).check()
    assert calls - before == {"skeleton": 1, "get_peft_model on meta": 1}


@pytest.mark.parametrize("method", adapters.method_names())
def test_a_plan_counts_what_the_single_counts_say(method):
    plan = resolve(Experiment(method=method))
    assert plan.layout.trainable == adapters.count_trainable(plan.model, plan.config)
    assert plan.circuits == adapters.circuits_of(plan.model, plan.config)
    assert len(plan.layout.sizes) == 2 * plan.model.config.num_hidden_layers  # q_proj and v_proj
    assert set(plan.bytes) == {
        "the model's weights", "the adapter and its optimiser", "activations", "circuits",
    }  # fmt: skip


def test_a_plan_is_frozen():
    plan = resolve(Experiment(method="lora"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.experiment = Experiment()
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.layout.trainable = 0
    with pytest.raises(TypeError):
        plan.circuits["mine"] = 1


def write_rows(path, count, answer="answer"):
    rows = [{"prompt": f"question {n}", "response": f"{answer} {n}"} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")


def test_a_task_file_is_read_again_once_it_changed(tmp_path, calls):
    path = tmp_path / "mine.jsonl"
    write_rows(path, 80)
    experiment = Experiment(task=str(path), method="lora")
    first = resolve(experiment).task
    assert resolve(experiment).task is first
    write_rows(path, 80, answer="result")
    assert resolve(experiment).task.fingerprint != first.fingerprint
    assert calls["load_task"] == 2
    path.unlink()
    with refused(value="no file"):
        experiment.check()


def test_a_model_folder_is_read_again_once_it_changed(tmp_path, calls):
    tiny = qtha_lab.models.catalogue.locate("tiny")
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    experiment = Experiment(model=str(tmp_path), method="lora")
    before = resolve(experiment).model.num_parameters()
    config = json.loads((tmp_path / "config.json").read_text())
    config["num_hidden_layers"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert resolve(experiment).model.num_parameters() < before
    assert len(resolve(experiment).layout.sizes) == 2


ANSATZ = """
from qtha_lab.plugins import Angle, Circuit, Gate, ansatz

@ansatz("one_turn", summary="a turn on each wire", source="test", n_params=lambda n, layers: n)
def make(n_qubits, n_layers, reupload):
    gates = [Gate("RY", wire, Angle.param(wire)) for wire in range(n_qubits)]
    gates += [Gate("RX", wire, Angle.input(wire)) for wire in range(n_qubits)]
    return Circuit(n_qubits, gates[{start}:] if {start} else gates)
"""


def test_a_plugin_registered_anew_is_not_served_from_memory(tmp_path):
    path = tmp_path / "turn.py"
    path.write_text(ANSATZ.replace("{start}", "0"))
    experiment = Experiment(method="qtha(r=3,ansatz=one_turn)", plugins=[str(path)])
    (before,) = resolve(experiment).circuits
    path.write_text(ANSATZ.replace("{start}", "0").replace('"RX"', '"RZ"'))
    (after,) = resolve(experiment).circuits
    assert {gate.name for gate in before.gates} == {"RY", "RX"}
    assert {gate.name for gate in after.gates} == {"RY", "RZ"}


def test_checks_of_one_plan_refuse_in_the_order_names_rows_sizes():
    wrong = Experiment(
        method="lora", training={"batch_size": 10_000, "max_length": 10**6, "train_rows": 100}
    )
    with refused("batch_size", "10000"):
        validation.check_plan(resolve(wrong))
    rows_right = wrong.replace(training=wrong.training.replace(batch_size=8))
    with refused("max_length", "1,000,000"):
        validation.check_plan(resolve(rows_right))


def test_two_threads_that_want_one_value_make_it_once():
    started, values, slow = threading.Event(), Cache("test", most=2), []

    def make():
        started.set()
        time.sleep(0.05)
        slow.append(1)
        return "value"

    first = threading.Thread(target=values.get, args=("key", make))
    first.start()
    started.wait()
    assert values.get("key", make) == "value"
    first.join()
    assert slow == [1]


def test_a_value_that_could_not_be_made_is_tried_again_and_the_oldest_is_forgotten():
    values = Cache("test", most=2)
    with pytest.raises(ZeroDivisionError):
        values.get(1, lambda: 1 / 0)
    assert 1 not in values
    assert [values.get(key, lambda key=key: key * 10) for key in (1, 2, 3)] == [10, 20, 30]
    assert 1 not in values
    assert 3 in values
    assert values.get(None, lambda: "made") == "made"
