"""A run that cannot fit is refused with both numbers before allocation."""

import json

import pytest
import torch
from safetensors.torch import load_file
from support.refusals import refused
from transformers import AutoConfig, AutoModelForCausalLM

from qtha_lab import adapters, models, simulators, tasks
from qtha_lab.circuits import ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment, Training, memory
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.cost.sizes import sizes
from qtha_lab.experiment.plan import resolve
from qtha_lab.models.catalogue import locate
from qtha_lab.runs.run import list_runs
from qtha_lab.simulators import engine_costs, engine_selection
from qtha_lab.simulators.cpu import engine
from qtha_lab.simulators.engine_selection import _free_in_group

GIB = 2**30


def saved_bytes(experiment: Experiment) -> tuple[int, int]:
    """Bytes that autograd keeps between forward and backward of a real batch.

    And the estimate of them.
    """
    plan = resolve(experiment)
    task = plan.task
    loaded = models.load_model(experiment.model, head=plan.head, n_labels=plan.n_labels)
    model = adapters.add_adapter(loaded.model, plan.config)
    rows = task.encode(task.train[:8], loaded.tokenizer, experiment.training.max_length)
    batch = tasks.collate(loaded.tokenizer)(rows)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**batch).loss
    width = batch["input_ids"].shape[1]
    estimate = memory.bytes_needed(
        experiment.training,
        model.get_base_model(),
        plan.config,
        trainable=0,
        circuits=(),
        width=width,
    )
    assert loss.requires_grad
    return sum(storages.values()), estimate["activations"]


@pytest.mark.parametrize("task", ["qa", "supersense"])
def test_activations_are_never_estimated_above_what_a_step_keeps(task):
    size, estimate = saved_bytes(
        Experiment(method="lora", task=task, training=Training(batch_size=8))
    )
    assert size / 4 < estimate <= size


def test_the_predicted_peak_of_recorded_runs_is_within_30_percent():
    runs = [run for run in list_runs(data_dir() / "runs") if run.summary["method"] == "lora"]
    assert len(runs) == 3
    for run in runs:
        predicted = sizes(run.experiment).bytes
        assert 0.7 < predicted / run.summary["peak_memory_bytes"] < 1.3


def huge_model(folder, **changes):
    """A model folder as large as its config says; no weight of it is ever read."""
    config = json.loads((locate("tiny") / "config.json").read_text()) | changes
    for file in locate("tiny").iterdir():
        if file.name not in ("config.json", "model.safetensors"):
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    header, end = {}, 0
    for name in load_file(locate("tiny") / "model.safetensors"):
        tensor = model.get_parameter(name)
        size = 2 * tensor.numel()
        header[name] = {
            "dtype": "F16",
            "shape": [*tensor.shape],
            "data_offsets": [end, end + size],
        }
        end += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:  # sparse: its tensors take no space
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return str(folder)


def test_a_base_that_no_machine_holds_is_refused_with_both_numbers(tmp_path):
    model = huge_model(tmp_path, hidden_size=49_152, intermediate_size=10**5)
    sentence = (
        r"at least [\d,.]+ GiB, got [\d,.]+ GiB\. The largest part is [\d,.]+ GiB for the model's"
        r" weights"
    )
    for refuses in (
        Experiment(model=model, method="lora").check,
        lambda: preview(Experiment(model=model)),
    ):
        with pytest.raises(Refusal, match=sentence):
            refuses()


def test_a_waist_that_no_optimiser_holds_is_refused():
    with refused(remedy="for the adapter and its optimiser"):
        Experiment(method="qtha(waist=1000000000)").check()


def test_circuits_that_do_not_fit_are_refused_before_one_is_run(monkeypatch):
    # about 24 GiB are needed, which large machines have
    monkeypatch.setattr(engine_selection, "free_bytes", lambda device: 8 * GIB)
    experiment = Experiment(method="qtha(r=24,waist=32,bond_dim=2,n_layers=2)")
    for refuses in (experiment.check, lambda: preview(experiment)):
        with refused(remedy="GiB for circuits"):
            refuses()
    with refused("n_qubits", "99"):
        Experiment(method="qtha(r=99,waist=128,bond_dim=2,n_layers=2)").check()


def test_a_smaller_copy_has_the_same_gates_on_fewer_wires():
    circuit = ansatze.build("qtha", 20, 20, True)
    small, times = engine_costs.smaller_copy(circuit)
    assert times * 2**small.n_qubits == 2**20
    assert [g.name for g in small.gates] == [g.name for g in circuit.gates]
    assert (small.n_inputs, small.n_params) == (circuit.n_inputs, circuit.n_params)
    usual = ansatze.build("qtha", 8, 8, True)
    assert engine_costs.smaller_copy(usual) == (usual, 1)


def test_the_bytes_of_a_large_circuit_are_about_those_of_its_smaller_copy(monkeypatch):
    circuit = ansatze.build("qtha", 12, 6, True)
    exact = engine.working_bytes(circuit, 100)
    monkeypatch.setattr(engine_costs, "LARGEST", 2**16)
    engine_costs.smaller_copy.cache_clear()
    try:
        assert engine_costs.smaller_copy(circuit)[1] > 1
        assert engine.working_bytes(circuit, 100) == pytest.approx(exact, rel=0.5)
    finally:
        engine_costs.smaller_copy.cache_clear()


def test_no_circuit_is_planned_on_more_wires_than_can_be_tried(monkeypatch):
    from qtha_lab.simulators.cpu import plan

    planned = []
    make = plan.KernelPlan.__init__

    def counted(self, circuit, readout):
        planned.append(circuit.n_qubits)
        make(self, circuit, readout)

    monkeypatch.setattr(plan.KernelPlan, "__init__", counted)
    simulators.estimate(ansatze.build("qtha", 19, 19, True), 1, "cpu")
    assert planned
    assert max(planned) < 16


def test_an_adapter_too_large_to_be_tried_says_that_its_time_is_left_out():
    result = preview(Experiment(method="qtha(waist=500000)", training=Training(threads=1)))
    assert result.trainable_parameters > 30_000_000
    assert "the time of its matrices is excluded" in result.warnings[-1]


def group(folder, limit, used, cached=0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def test_the_tightest_control_group_counts(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("0::/job/step\n")
    group(tmp_path / "root", "max", 50 * GIB)
    group(tmp_path / "root" / "job", 8 * GIB, 7 * GIB, cached=2 * GIB)
    group(tmp_path / "root" / "job" / "step", 6 * GIB, GIB)
    assert _free_in_group(tmp_path / "root", membership) == 3 * GIB
    assert _free_in_group(tmp_path / "root", tmp_path / "none") == 2**63
