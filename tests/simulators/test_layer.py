"""QuantumLayer: what is expected of any layer of torch, and PennyLane's own layer as oracle."""

import copy
import pickle
import threading

import pennylane as qml
import pytest
import torch
import torch.multiprocessing as mp
from support.refusals import refused
from torch import nn

from qtha_lab import QuantumLayer
from qtha_lab.circuits import Circuit, ansatze, to_pennylane
from qtha_lab.simulators import engine_names, expval, expval_z, probs

INPUTS = torch.linspace(-1, 2, 15).reshape(5, 3)


def layer(**options):
    torch.manual_seed(0)
    return QuantumLayer("qtha", n_qubits=3, n_layers=2, **options)


# what it computes


@pytest.mark.parametrize("engine", engine_names())
def test_it_equals_expval_z_with_its_params(engine):
    quantum = layer(engine=engine)
    torch.testing.assert_close(
        quantum(INPUTS), expval_z(quantum.circuit, INPUTS, quantum.params, "torch")
    )


def test_any_readout():
    circuit = ansatze.build("qtha", 3, 2)
    some, strings, whole = (
        layer(readout=(2, 0)),
        layer(readout=["Z0 Z1", "X2"]),
        layer(readout="probs"),
    )
    z = expval_z(circuit, INPUTS, some.params)
    torch.testing.assert_close(some(INPUTS), z[:, [2, 0]])
    torch.testing.assert_close(
        strings(INPUTS), expval(circuit, ["Z0 Z1", "X2"], INPUTS, strings.params)
    )
    torch.testing.assert_close(whole(INPUTS), probs(circuit, INPUTS, whole.params))
    assert [quantum.n_outputs for quantum in (layer(), some, strings, whole)] == [3, 2, 2, 8]
    assert all(quantum(INPUTS).shape[-1] == quantum.n_outputs for quantum in (some, strings, whole))


@pytest.mark.parametrize("lead", [(), (1,), (0,), (2, 3), (2, 0, 4)])
def test_any_leading_shape(lead):
    assert layer()(torch.rand(*lead, 3)).shape == (*lead, 3)


@pytest.mark.parametrize("batch", [1, 4])
def test_it_equals_pennylanes_layer_with_its_gradients(batch):
    circuit = ansatze.build("strongly_entangling", 3, 2)
    ours = QuantumLayer(circuit, dtype=torch.float64)

    @qml.qnode(qml.device("default.qubit", wires=3), interface="torch", diff_method="backprop")
    def node(inputs, angles):
        to_pennylane(circuit, inputs, angles)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(3)]

    theirs = qml.qnn.TorchLayer(node, {"angles": (circuit.n_params,)}).double()
    theirs.load_state_dict({"angles": ours.params.detach()})
    inputs = torch.rand(batch, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for quantum in (ours, theirs):
        values = quantum(inputs)
        loss = (values * torch.linspace(-1, 2, values.numel()).reshape(values.shape)).sum()
        results.append([values, *torch.autograd.grad(loss, [inputs, *quantum.parameters()])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b.reshape(a.shape).double())


# what torch expects of a layer


def test_its_state_is_its_angles_and_copies_give_the_same_bits(tmp_path):
    quantum = layer(readout=("Z0 Z1", "X2"))
    assert list(quantum.state_dict()) == ["params"]
    other = QuantumLayer("qtha", 3, 2, readout=("Z0 Z1", "X2"))
    other.load_state_dict(quantum.state_dict())
    torch.save(quantum, tmp_path / "layer.pt")
    saved = torch.load(tmp_path / "layer.pt", weights_only=False)
    for twin in (other, copy.deepcopy(quantum), pickle.loads(pickle.dumps(quantum)), saved):
        assert torch.equal(twin(INPUTS), quantum(INPUTS))
        assert twin.params is not quantum.params


def test_it_goes_to_other_types_and_onto_meta_and_back():
    doubled = layer().double()
    assert doubled(INPUTS.double()).dtype == torch.float64
    empty = layer(device="meta").to_empty(device="cpu")
    empty.reset_parameters()
    assert empty.params.abs().max() <= torch.pi
    assert empty(INPUTS).shape == (5, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_it_computes_in_float32_and_returns_the_type_of_its_inputs(dtype):
    network = nn.Sequential(nn.Linear(6, 3), layer())
    x = torch.randn(4, 6)
    with torch.autocast("cpu", dtype):
        hidden = network[0](x)
        values = network(x)
    assert (hidden.dtype, values.dtype) == (dtype, dtype)
    assert torch.equal(values, network[1](hidden.float()).to(dtype))
    values.float().sum().backward()
    assert network[1].params.grad.dtype == torch.float32


def under_a_scale(scale):
    """A network after the way back of a scaled loss in float16, with its scaler and optimiser."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(6, 3), layer())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    with torch.autocast("cpu", torch.float16):
        loss = network(torch.linspace(-1, 1, 24).reshape(4, 6)).float().square().mean()
    scaler.scale(loss).backward()
    return network, scaler, optimizer


def test_a_gradscaler_scales_its_gradients_and_scales_them_back():
    plain, scaled = under_a_scale(1.0)[0], under_a_scale(2.0**12)
    network, scaler, optimizer = scaled
    gradients, before = network[1].params.grad.clone(), network[1].params.detach().clone()
    scaler.unscale_(optimizer)
    assert torch.equal(network[1].params.grad * 2.0**12, gradients)
    expected = plain[1].params.grad
    torch.testing.assert_close(network[1].params.grad, expected, rtol=0.01, atol=1e-3)
    scaler.step(optimizer)
    torch.testing.assert_close(network[1].params.detach(), before - 0.1 * network[1].params.grad)


def test_a_gradscaler_passes_over_a_step_whose_gradients_are_too_large_for_float16():
    network, scaler, optimizer = under_a_scale(2.0**60)
    before = network[1].params.detach().clone()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(network[1].params, before)
    assert scaler.get_scale() == 2.0**59


def test_it_prints_what_it_is():
    assert repr(layer(readout=(0, 2))) == (
        "QuantumLayer('qtha', n_qubits=3, n_inputs=3, n_params=24, n_outputs=2, "
        "readout=('Z0', 'Z2'), engine='auto')"
    )
    assert repr(QuantumLayer(Circuit(1, []))).startswith("QuantumLayer(n_qubits=1, n_inputs=0")


def test_replicas_of_dataparallel_run_in_threads_and_send_their_gradients_home():
    quantum = layer()
    replicas, results = [], {}
    for _ in range(3):
        replica = quantum._replicate_for_data_parallel()
        replica.params = quantum.params * 1.0  # a tensor with a history, as Broadcast's are
        replicas.append(replica)
    inputs = torch.rand(6, 3).chunk(3)

    def run(number):
        results[number] = replicas[number](inputs[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = torch.cat([results[number] for number in range(3)])
    (gradients,) = torch.autograd.grad(together.square().sum(), quantum.params)
    alone = quantum(torch.cat(inputs))
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(
        gradients, torch.autograd.grad(alone.square().sum(), quantum.params)[0]
    )


def _one_of_two(rank, address, inputs, answers):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    quantum = layer()
    wrapped = nn.parallel.DistributedDataParallel(quantum)
    wrapped(inputs[rank::2]).square().mean().backward()
    answers[rank] = quantum.params.grad.tolist()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_of_distributeddataparallel_have_the_gradients_of_the_whole_batch(tmp_path):
    inputs = torch.rand(8, 3)
    with mp.Manager() as manager:
        answers = manager.dict()
        mp.spawn(_one_of_two, (f"file://{tmp_path}/meet", inputs, answers), nprocs=2)
        first, second = answers[0], answers[1]
    quantum = layer()
    quantum(inputs).square().mean().backward()
    assert first == second
    torch.testing.assert_close(torch.tensor(first), quantum.params.grad)


@pytest.mark.parametrize("readout", ["z", "probs", (0, 2), ("X0 Y1", "Z2")])
def test_one_graph_of_torch_compile_holds_it(readout):
    quantum = layer(readout=readout)
    compiled = torch.compile(quantum, fullgraph=True, backend="aot_eager")
    results = []
    for run in (quantum, compiled):
        values = run(INPUTS)
        results.append([values, *torch.autograd.grad(values.square().sum(), quantum.params)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_torch_func_takes_it_with_the_params_of_many():
    quantum = layer()
    several = torch.stack([quantum.params.detach(), -quantum.params.detach()])

    def run(params):
        return torch.func.functional_call(quantum, {"params": params}, (INPUTS,))

    by_hand = torch.stack([run(params) for params in several])
    torch.testing.assert_close(torch.func.vmap(run)(several), by_hand)


# refusals


@pytest.mark.parametrize(
    ("arguments", "options", "setting", "value", "rule"),
    [
        (("qhta", 3, 1), {}, "ansatz", "'qhta'", ""),
        (("qtha",), {}, "n_qubits and n_layers", "None, None", ""),
        ((Circuit(2, []), 3), {}, "n_qubits, n_layers and options", "them with a Circuit", ""),
        ((7,), {}, "circuit", "7", ""),
        (("qtha", 3, 1), {"readout": "x"}, "readout", "'x'", ""),
        (("qtha", 3, 1), {"readout": (3,)}, "Wires of an observable", "3 in 'Z3'", ""),
        (("qtha", 3, 1), {"readout": ()}, "observables", "", "no entry"),
        (("qtha", 3, 1), {"engine": "cup"}, "engine", "'cup'", ""),
        (
            ("qtha", 30, 1),
            {"engine": "torch"},
            "n_qubits",
            "30 (8,589,934,592 bytes per sample)",
            "",
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_the_layer_is_made(
    arguments, options, setting, value, rule
):
    with refused(setting, value, rule=rule):
        QuantumLayer(*arguments, **options)
