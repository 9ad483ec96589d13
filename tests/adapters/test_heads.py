"""Heads.

The facts that each keeps to, known answers of those with a circuit, and runs that train them.
"""

import math
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support.refusals import refused
from support.trained_runs import finished, measured, work
from torch import nn

from qtha_lab import adapters
from qtha_lab.adapters import heads
from qtha_lab.adapters.heads import HEADS, head_named
from qtha_lab.adapters.heads.fidelity import class_circuit, feature_circuit, fidelity
from qtha_lab.adapters.heads.qlstm import GatedNetwork, gate_circuit
from qtha_lab.circuits import Circuit, Gate
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.models import load_model
from qtha_lab.runs import run
from qtha_lab.runs.trained_model import load_run_model
from qtha_lab.simulators import expval, probs, state
from qtha_lab.tasks import collate
from qtha_lab.training.evaluation import predict

D, CLASSES, ROWS, TOKENS = 24, 5, 6, 7
MORE = (
    "circuit(n=1,ansatz=product,n_layers=1)",
    "circuit(n=3,train_circuit=false)",
    "mlp(hidden=3,between=cos)",
    "fidelity(n=2,entangle=false)",
    "fidelity(n=3,bond_dim=2)",
    "qlstm(n=2,hidden=3,maps=sin)",
    "qlstm(n=2,hidden=3,train_circuit=false)",
)
CALLS = [*(info.example for info in HEADS.values()), *MORE]
each_head = pytest.mark.parametrize("text", CALLS)
NONE = torch.empty(0, dtype=torch.float64)


def made(text, seed=0):
    """The network of a head, and features and labels of some rows."""
    torch.manual_seed(seed)
    head = head_named(text)
    network = head.module(D, CLASSES)
    mask = torch.ones(ROWS, TOKENS, dtype=torch.long)
    mask[1, 4:] = 0
    features = (
        (torch.randn(ROWS, TOKENS, D), mask) if head.reads_tokens else (torch.randn(ROWS, D),)
    )
    return head, network, features, torch.arange(ROWS) % CLASSES


# facts of every head


@each_head
def test_the_text_of_a_head_gives_the_same_head(text):
    head = head_named(text)
    assert head_named(head.text) == head
    info = HEADS[head.name]
    assert all((info.summary, info.equation, info.source))


@each_head
def test_padding_does_not_change_the_logits(text):
    head, network, features, _ = made(text)
    if not head.reads_tokens:
        return
    with torch.no_grad():
        network.out.weight.normal_()
        states, mask = features
        short = network(states[1:2, :4], mask[1:2, :4])
        assert torch.allclose(network(states, mask)[1:2], short, atol=1e-6)


# known answers


def test_one_qubit_without_entangler_is_a_cosine():
    # Rot(a, b, c) = RZ(c) RY(b) RZ(a) after RY(x): ⟨Z⟩ = cos x cos b − sin x sin b cos a, and a = 0
    # leaves cos(x + b)
    head, network, (features,), _ = made("circuit(n=1,n_layers=1)")
    assert [len(gate.wires) for gate in head.circuits()[0].gates] == [1, 1]
    with torch.no_grad():
        network.quantum.params.copy_(torch.tensor([0.0, 0.7, 0.3]))
        network.out.weight.fill_(1.0)
        angle = math.pi * torch.tanh(network.inward(features)) + 0.7
        assert torch.allclose(network(features), angle.cos().expand(-1, CLASSES), atol=1e-6)


def test_the_fidelity_of_equal_states_is_1_and_of_orthogonal_ones_0():
    torch.manual_seed(0)
    angles = torch.rand(4, 6, dtype=torch.float64)
    states = state(feature_circuit(3), angles, NONE)
    own = fidelity(states, states)
    assert torch.allclose(own.diagonal(), torch.ones(4, dtype=torch.float64))
    # a product of single qubits: |⟨a|b⟩|² of RY RZ is cos²(Δy/2) − sin y sin y' sin²(Δz/2)
    y, z = angles[:, 0::2], angles[:, 1::2]
    dy, dz = y[:, None] - y, z[:, None] - z
    factors = (dy / 2).cos().square() - y.sin()[:, None] * y.sin() * (dz / 2).sin().square()
    assert torch.allclose(own, factors.prod(-1))
    flipped = angles.clone()
    flipped[:, 0] += math.pi
    flipped[:, 1] = angles[:, 1]
    # RY(y + π)|0⟩ is orthogonal to RY(y)|0⟩
    others = fidelity(states, state(feature_circuit(3), flipped, NONE)).diagonal()
    assert others.abs().max() < 1e-12


def test_a_swap_test_finds_its_ancilla_at_0_with_the_chance_of_half_of_1_and_the_fidelity():
    n = 2
    torch.manual_seed(1)
    rotations = torch.rand(2, 2 * n, dtype=torch.float64) * 3
    gates = [Gate("Hadamard", 0)]
    for copy in range(2):
        for i in range(n):
            wire = 1 + copy * n + i
            gates += [
                Gate("RY", wire, float(rotations[copy, 2 * i])),
                Gate("RZ", wire, float(rotations[copy, 2 * i + 1])),
            ]
    for i in range(n):
        a, b = 1 + i, 1 + n + i  # a controlled SWAP is a Toffoli between two CNOTs
        gates += [Gate("CNOT", (b, a)), *toffoli(0, a, b), Gate("CNOT", (b, a))]
    gates.append(Gate("Hadamard", 0))
    at_zero = probs(Circuit(1 + 2 * n, gates), NONE, NONE, "torch")[: 2 ** (2 * n)].sum()
    first, second = state(feature_circuit(n), rotations, NONE)
    assert at_zero.item() == pytest.approx((1 + fidelity(first, second).item()) / 2, abs=1e-9)


def toffoli(c, d, t):
    """Two controls and a target, up to a global phase."""
    quarter = math.pi / 4
    rotations = [(t, -quarter), (t, quarter), (t, -quarter), (t, quarter)]
    gates = [Gate("Hadamard", t)]
    for control, (wire, angle) in zip((d, c, d, c), rotations, strict=True):
        gates += [Gate("CNOT", (control, wire)), Gate("RZ", wire, angle)]
    gates += [
        Gate("Hadamard", t),
        Gate("RZ", d, quarter),
        Gate("CNOT", (c, d)),
        Gate("RZ", d, -quarter),
    ]
    return [*gates, Gate("CNOT", (c, d)), Gate("RZ", c, quarter)]


def test_class_states_without_entanglers_are_products():
    torch.manual_seed(2)
    angles = torch.rand(class_circuit(2, 2, entangle=False).n_inputs, dtype=torch.float64) * 3
    matrix = state(class_circuit(2, 2, entangle=False), angles, NONE).reshape(2, 2)
    assert torch.linalg.svdvals(matrix)[1] < 1e-7  # Schmidt rank 1
    whole = class_circuit(2, 2)
    entangled = state(whole, torch.rand(whole.n_inputs, dtype=torch.float64) * 3, NONE)
    assert torch.linalg.svdvals(entangled.reshape(2, 2))[1] > 1e-2


def test_a_gate_map_is_the_circuit_that_its_description_says():
    # one qubit, no CNOT: RX(a) RZ(v) RX(b) from |0⟩ has ⟨Y⟩ = −sin b cos a − cos b sin a cos v
    a, b, v = 0.4, 1.1, 0.6
    y = expval(gate_circuit(1), ["Y0"], torch.tensor([a, b, v], dtype=torch.float64), NONE)
    expected = -math.sin(b) * math.cos(a) - math.cos(b) * math.sin(a) * math.cos(v)
    assert y.item() == pytest.approx(expected, abs=1e-9)
    assert sum(len(gate.wires) == 2 for gate in gate_circuit(4).gates) == 8


def test_without_circuit_outputs_the_network_is_an_lstm_of_biases():
    torch.manual_seed(3)
    network, biases = GatedNetwork(D, 3, 2), nn.LSTM(1, 3, batch_first=True)
    with torch.no_grad():
        network.outward.zero_()
        network.bias.normal_()
        enters, stays, leaves, new = network.bias[:, 0]
        for parameter in biases.parameters():
            parameter.zero_()
        biases.bias_ih_l0.copy_(torch.cat([enters, stays, new, leaves]))  # torch's order: i f g o
        states = torch.randn(2, TOKENS, D)
        expected, _ = biases(torch.zeros(2, TOKENS, 1))
    assert torch.allclose(network(states), expected, atol=1e-6)


# on a model


SMALL = {
    "steps": 6,
    "batch_size": 4,
    "max_length": 24,
    "train_rows": 24,
    "eval_rows": 8,
    "test_rows": 8,
    "eval_every": 3,
    "checkpoint_every": 2,
    "spectrum_every": 0,
    "threads": 1,
}


def experiment(head, method="none", **changes):
    return Experiment(task="supersense", head=head, method=method, training=SMALL | changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs that ended, by head and method."""
    folder = tmp_path_factory.mktemp("heads")
    asked = [("linear", "none"), ("circuit(n=2)", "none"), ("circuit(n=2)", "lora(r=1)")]
    return {one: finished(experiment(*one), folder) for one in asked}


def test_a_head_alone_is_an_ordinary_run(trained):
    for (text, method), files in trained.items():
        summary = run.Run(files.path).summary
        assert summary["state"] == "finished"
        assert summary["head"] == text
        count = head_named(text).n_parameters(192, 41) - 41 * (
            text == "linear"
        )  # tiny's own layer has no bias
        assert summary["head_parameters"] == count
        assert (summary["trainable_parameters"] == 0) == (method == "none")
        assert summary["eval_loss_start"] == pytest.approx(math.log(41), abs=1e-5)
        kinds = {event["kind"] for event in measured(files)}
        assert kinds == {"train", "eval"}
        assert (files.adapter / "README.md").is_file()


def test_what_was_trained_is_loaded_with_its_head(trained):
    for (text, _), files in trained.items():
        loaded = load_run_model(files)
        head = heads.head_of(loaded.model)
        assert (head is None) == (text == "linear")
        assert head is None or head == head_named(text)
        task, training = loaded.plan.task, loaded.plan.experiment.training
        rows = task.encode(task.eval, loaded.base.tokenizer, training.max_length)
        with torch.no_grad():
            again = predict(loaded.model, rows, collate(loaded.base.tokenizer), 4, lambda: None)
        assert again.loss == pytest.approx(run.Run(files.path).summary["eval_loss"], abs=1e-5)


def test_a_base_without_the_head_gets_it_from_the_adapter_and_one_with_another_is_refused(trained):
    folder = trained["circuit(n=2)", "lora(r=1)"].adapter
    base = load_model("tiny", head="classification", n_labels=41)
    assert heads.head_of(adapters.load_adapter(base.model, folder)) == head_named("circuit(n=2)")
    other = load_model("tiny", head="classification", n_labels=41, reader="mlp")
    with refused("The model", "mlp(hidden=32,between=silu)"):
        adapters.load_adapter(other.model, folder)
    card = (folder / "README.md").read_text()
    assert "PEFT alone cannot load this head" in card
    assert 'load_model("tiny", head="classification", n_labels=41)' in card


@pytest.mark.parametrize("method", ["none", pytest.param("lora(r=1)", marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(trained, tmp_path, method):
    whole = trained["circuit(n=2)", method]
    files = RunDir.create(experiment("circuit(n=2)", method), tmp_path)
    assert work(files, until=3).state == "stopped"
    assert work(files).state == "finished"
    assert measured(files) == measured(whole)
    first, second = (load_file(f.adapter / "adapter_model.safetensors") for f in (files, whole))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_features_that_are_kept_are_those_of_the_model():
    base = load_model("tiny", head="classification", n_labels=3, reader="lstm(hidden=2)")
    with torch.no_grad():
        base.model.score.network.out.weight.normal_()
    ids, mask = torch.randint(5, 99, (2, 6)), torch.ones(2, 6, dtype=torch.long)
    mask[1, 4:] = 0
    kept = list(heads.features_of(base.model, [{"input_ids": ids, "attention_mask": mask}]))
    assert [tuple(row.shape) for row in kept] == [(6, 192), (4, 192)]
    features = nn.utils.rnn.pad_sequence(kept, batch_first=True)
    base.model.eval()
    with torch.no_grad():
        ours = base.model(attention_mask=mask, features=features).logits
        assert torch.allclose(ours, base.model(ids, mask).logits, atol=1e-6)


def test_a_preview_counts_the_head_and_of_a_head_alone_nothing_else():
    seen = preview(experiment("qlstm(n=2,hidden=3)"))
    assert seen.trainable_parameters == 0
    assert seen.parts["head"] == seen.seconds_per_step > 0
    adapted = preview(experiment("circuit(n=2)", "lora(r=1)"))
    assert min(adapted.parts["base"], adapted.parts["head"]) > 0
    assert set(preview(experiment("", "lora(r=1)")).parts) == {"base", "adapter", "circuit"}


@pytest.mark.slow
def test_a_head_on_a_model_without_weights_leaves_engines_and_random_numbers_alone():
    code = (
        "import torch; from qtha_lab.models import empty_model; before = torch.get_rng_state();"
        "model = empty_model('tiny', head='classification', n_labels=3, reader='circuit(n=2)');"
        "assert torch.equal(before, torch.get_rng_state());"
        "assert all(p.is_meta for p in model.parameters());"
        "from qtha_lab.simulators import check_engine; from qtha_lab.circuits.ansatze import build;"
        "check_engine('cpu', build('product', 2, 1))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# refusals


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"task": "qa", "head": "mlp"}, "head must be empty for task qa, which has no classes, got mlp"),
        ({"task": "qa", "method": "none"}, "method must adapt layers for task qa, which has no classes, got none"),
        ({"head": "circit"}, "Unknown head 'circit': did you mean 'circuit'?"),
        ({"head": "circuit(n=17)"}, "head circuit: n must be at most 16, got 17"),
        ({"head": "circuit(m=1)"}, "Unknown setting of head circuit: 'm'"),
        ({"head": "circuit(n=1,ansatz=qtha)"}, "Ansatz 'qtha' must have at least 2 qubits, got 1"),
        ({"head": "mlp", "method": "qtha_gradient"}, "head must be empty for qtha_gradient, whose initialisation uses gradients, got mlp"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_sentence(fields, sentence, tmp_path):
    described = Experiment(**{"task": "supersense", "training": SMALL} | fields)
    with pytest.raises(Refusal) as record:
        described.check(tmp_path)
    assert sentence in str(record.value)


def test_a_model_whose_classification_layer_is_no_linear_one_is_refused():
    model = nn.Module()
    model.classifier = nn.Sequential(nn.Linear(4, 2))
    with refused("head", "a Module"):
        heads.put_head(model, head_named("mlp"))


def test_every_form_of_a_description_names_the_head():
    described = experiment("circuit(n=3)")
    assert "head: circuit(n=3)" in described.to_yaml()
    assert Experiment.from_yaml(described.to_yaml()) == described
    assert "--head 'circuit(n=3)'" in described.to_command()
    assert "head='circuit(n=3)'" in described.to_python().replace('"', "'")
    assert "head" not in Experiment().to_yaml()
    assert Comparison(task="supersense", head="mlp").head == "mlp"
