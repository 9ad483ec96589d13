"""A preview counts exactly, times roughly, and loads and trains nothing."""

import subprocess
import sys

import pytest
import torch

from qtha_lab import adapters, models, tasks
from qtha_lab.experiment import Experiment, Training
from qtha_lab.experiment.cost import calibration
from qtha_lab.experiment.cost.preview import Simulation, mean_length, preview
from qtha_lab.experiment.plan import resolve
from qtha_lab.simulators.device import engine, options

TRAINING = Training(threads=1)


def real_model(experiment):
    plan = resolve(experiment)
    loaded = models.load_model(experiment.model, head=plan.head, n_labels=plan.n_labels)
    return adapters.add_adapter(loaded.model, plan.config)


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(method="lora", training=TRAINING),
        Experiment(method="qtha(r=4,waist=16)", training=TRAINING),
        Experiment(method="qtha(r=4,waist=16)", task="supersense", training=TRAINING),
    ],
    ids=lambda e: f"{e.method.label} {e.task}",
)
def test_parameters_are_counted_as_the_real_model_has_them(experiment):
    result = preview(experiment)
    model = real_model(experiment)
    trained = {n: p.numel() for n, p in model.named_parameters() if p.requires_grad}
    head = sum(count for name, count in trained.items() if "modules_to_save" in name)
    assert result.trainable_parameters == sum(trained.values()) - head
    whole = sum(p.numel() for p in model.get_base_model().parameters())
    assert result.base_parameters == whole - sum(trained.values())


def test_parts_sum_to_the_step_and_only_a_circuit_takes_circuit_time():
    lora = preview(Experiment(method="lora", training=TRAINING))
    qtha = preview(Experiment(method="qtha(r=6,waist=16)", training=TRAINING))
    for result in (lora, qtha):
        assert sum(result.parts.values()) == pytest.approx(result.seconds_per_step)
        assert set(result.parts) == {"base", "adapter", "circuit"}
        assert result.parts["base"] > 0
    assert lora.parts["circuit"] == 0
    assert qtha.parts["circuit"] >= 0
    assert lora.circuit_text is None
    assert "RY" in qtha.circuit_text


# circuits


def simulation(method, **changes):
    result = preview(Experiment(method=method, training=TRAINING.replace(**changes)))
    return result, result.simulation


def test_a_circuit_runs_once_a_token_and_adapted_layer():
    experiment = Experiment(method="qtha(r=4,waist=16)", training=TRAINING)
    width = mean_length(resolve(experiment))
    result, circuits = simulation("qtha(r=4,waist=16)")
    # tiny: q and v of 6 layers
    assert circuits.circuits == 2 * 6 * TRAINING.batch_size * width
    assert (circuits.engine, circuits.shots, circuits.note) == ("cpu", None, "")
    assert circuits.why == "chosen: the fastest on CPU tensors"
    assert circuits.seconds == result.parts["circuit"] >= 0  # a busy machine may hide it
    assert circuits.bytes > 0
    _, twice = simulation("qtha(r=4,waist=16)", gradient_accumulation=2)
    assert twice.circuits == 2 * circuits.circuits


def test_a_method_without_a_circuit_simulates_nothing():
    for method in ("lora", "qtha(r=4,waist=16,use_circuit=false)"):
        assert simulation(method)[1] is None


def test_a_circuit_that_makes_weights_runs_once_a_layer():
    assert simulation("qpa")[1].circuits == 2 * 6


def test_memory_is_said_in_kibibytes_or_mebibytes():
    texts = [Simulation("cpu", "", 1, 0.1, size).memory for size in (1536, 3 * 2**19)]
    assert texts == ["2 KiB", "1.5 MiB"]


def test_circuits_of_many_qubits_are_warned_of_with_what_they_cost():
    def sentences(r):
        result, circuits = simulation(f"qtha(r={r},waist=16,n_layers=1)", batch_size=1)
        return circuits, [s for s in result.warnings if "amplitudes per sample" in s]

    circuits, [sentence] = sentences(14)
    assert (
        sentence
        == f"circuits of 14 qubits (16,384 amplitudes per sample) take {circuits.seconds:.2g} s of"
        f" each step and {circuits.memory}; each qubit more doubles both"
    )
    assert sentences(4)[1] == []


def test_autograd_keeps_the_states_of_every_layer():
    # 2^4 complex float32 amplitudes per token and layer are the least that engine torch has to
    # keep.
    result = simulation("qtha(r=4,waist=16,engine=torch)")[1]
    assert result.bytes > result.circuits * 8 * 2**4


def test_shots_are_counted_with_those_of_the_gradients():
    engine = "device:default.qubit(shots=10)"
    _, exact = simulation("qtha(r=2,waist=8,n_layers=1)")
    _, result = simulation(f"qtha(r=2,waist=8,n_layers=1,engine='{engine}')")
    # 6 RY with two shifts each and 4 CRZ with four: 28 circuits more per token
    assert result.circuits == 29 * exact.circuits
    assert result.shots == 10 * result.circuits
    assert f"{result.shots:,} shots, engine {engine}" in str(result)


def test_a_machine_elsewhere_is_not_timed_and_nothing_is_sent_there(monkeypatch):
    # no plugin of others is installed here, so one of PennyLane's own stands for it
    monkeypatch.setattr(options, "is_local", lambda device: False)
    monkeypatch.setattr(engine, "run", None)
    result, circuits = simulation(
        "qtha(r=2,waist=8,n_layers=1,engine='device:default.qubit(shots=9)')"
    )
    assert circuits.seconds is None
    assert circuits.circuits > 0
    assert result.parts["circuit"] == 0
    assert result.seconds_per_step > 0
    assert "a queue before it, are not known" in result.warnings[-1]
    assert "in a time that is not known" in str(circuits)


def test_accumulation_and_recomputing_cost_what_they_repeat(monkeypatch):
    monkeypatch.setattr(calibration, "FORGET_SECONDS", 1e9)  # one timing serves all three

    def base(**changes):
        training = TRAINING.replace(**changes)
        return preview(Experiment(method="lora", training=training)).parts["base"]

    one = base()
    assert base(gradient_accumulation=4) == pytest.approx(4 * one)
    assert base(gradient_checkpointing=True) == pytest.approx(1.5 * one)


def test_the_width_of_a_batch_is_that_of_real_rows():
    experiment = Experiment(method="lora", training=Training(batch_size=8))
    plan = resolve(experiment)
    tokenizer = models.load_model("tiny").tokenizer
    rows = plan.task.encode(plan.task.train[:64], tokenizer, 128)
    widths = [
        tasks.collate(tokenizer)(rows[i : i + 8])["input_ids"].shape[1] for i in range(0, 64, 8)
    ]
    assert mean_length(plan) == -(-sum(widths) // len(widths))


def test_a_method_larger_than_its_lora_is_warned_of():
    result = preview(Experiment(method="qtha(size=paper)", training=TRAINING))
    assert any("times the" in warning for warning in result.warnings)
    assert preview(Experiment(method="qtha", training=TRAINING)).warnings == []
    assert preview(Experiment(method="lora", training=TRAINING)).warnings == []


def test_what_cannot_run_is_refused_in_a_preview_too():
    for fields in ({"method": "qhta"}, {"model": "tinny"}, {"method": "qtha(in_dims=[7,7])"}):
        with pytest.raises(ValueError, match=r"did you mean|49"):
            preview(Experiment(**fields))


def test_a_preview_leaves_the_random_state_and_the_threads_alone():
    torch.manual_seed(1)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    preview(Experiment(method="qtha(r=2,waist=8)", training=TRAINING))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_fewer_blocks_cost_less():
    config = resolve(Experiment(method="lora")).config
    config.layers_to_transform = [0, 1]
    _, share = calibration._on_every_block(config, 6)
    assert share == pytest.approx(2 / 6)
    assert calibration._trial_sizes(models.empty_model("tiny")) == (6,)


@pytest.mark.slow
def test_what_a_comparison_costs_is_known_before_pennylane_is_loaded():
    ask = (
        "import sys\n"
        "from qtha_lab import Experiment\n"
        "from qtha_lab.experiment.cost.preview import preview\n"
        "print(preview(Experiment(method='qtha')).simulation.why, 'pennylane' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines()[-1] == "chosen: the fastest on CPU tensors False"


def test_a_disturbed_product_shortens_a_measured_batch_to_64_tokens_at_least(monkeypatch):
    monkeypatch.setattr(calibration, "_speed", lambda *_: 1.0)  # operations per second
    model = models.empty_model("tiny")
    part, factor = calibration._part_of(model, calibration.Batch(8, 50))
    assert (part.rows, part.length, factor) == (1, 50, 8.0)
    assert calibration._part_of(model, calibration.Batch(1, 20)) == (calibration.Batch(1, 20), 1.0)
    part, factor = calibration._part_of(model, calibration.Batch(8, 16))
    assert (part.rows, part.length, factor) == (4, 16, 2.0)
