"""Each of the fourteen relatives of QTHA is a setting of the page.

Typed there, launched there, trained on a language model.
"""

import asyncio
from pathlib import Path

import pytest
from support.command_line import call
from support.waiting import PATIENCE

from qtha_lab import Comparison, Experiment, launch
from widgets.workbench.workbench import Workbench

TRAINING = {
    "steps": 2,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 16,
    "eval_rows": 4,
    "test_rows": 4,
    "eval_every": 2,
    "checkpoint_every": 2,
    "spectrum_every": 0,
    "generate_rows": 0,
    "threads": 1,
}
QTHA = "qtha(r=2,waist=8,bond_dim=2,n_layers=1)"
CLASSES = {"task": "supersense"}
WHOLE_NETWORK = str(Path(__file__).parents[2] / "examples" / "whole_network.py")

# what is typed, by paper: into the fields of the task, of the training, and of the one method
TYPED = {
    "Synergy": ({}, {}, "quantum_train", {"generator": "mps"}),
    "FLIP": ({}, {}, QTHA, {"angles": "flip({learnt})"}),
    "Pre+TTN-VQC": (
        {},
        {"phases": "linear(steps=1,use_circuit=false),all(steps=1,train=[W_q,angles,B])"},
        QTHA,
        {},
    ),
    "Distillation": ({}, {"teacher": "{run}", "distil": "logits", "distil_weight": 0.5}, QTHA, {}),
    "Architecture search": ({}, {}, QTHA, {"ansatz": "searched(code=XY-01)"}),
    "Pre-trained nets for VQC": (CLASSES | {"head": "circuit(n=2)"}, {}, "none", {}),
    "co-TenQu": (CLASSES | {"head": "fidelity(n=2)"}, {}, "none", {}),
    "HQRNN": (CLASSES | {"head": "qlstm(n=2)"}, {}, "none", {}),
    "QT-CNN": ({}, {}, "whole_network", {"chunk": 4096}),
    "Federated Quantum-Train": ({}, {"share": "1/2"}, QTHA, {}),
    "Dist-QTRL": (
        {},
        {"objective": "reinforce", "reward_samples": 2, "max_new_tokens": 4},
        QTHA,
        {},
    ),
    "OmniQuant": ({"quantization": "learned(w=4,a=16,steps=2)"}, {}, QTHA, {}),
    "PreQuant": ({"quantization": "outliers(w=4)"}, {}, "prequant", {}),
    "RoSTE": ({"quantization": "rotated(w=4,a=4,kv=4)"}, {}, QTHA, {}),
}


@pytest.fixture(scope="module")
def made_before(tmp_path_factory):
    """A finished run and a file of learnt angles, which two of them read."""
    folder = tmp_path_factory.mktemp("made")
    run = launch(Experiment(method=QTHA, training=TRAINING), folder / "runs")
    assert run.wait().state == "finished"
    learnt = folder / "angles.safetensors"
    answer = call(
        "init", "learn", "--methods", "qtha(r=2,n_layers=1)", "--epochs", "1", "--out", str(learnt)
    )
    assert answer.exit_code == 0, answer.output
    return {"run": str(run.path), "learnt": str(learnt)}


@pytest.mark.slow
@pytest.mark.parametrize("paper", TYPED)
def test_it_is_typed_launched_and_trained(paper, made_before):
    what, training, method, options = TYPED[paper]

    def typed(form, entries):
        for name, entry in entries.items():
            form[name].value = entry.format(**made_before) if isinstance(entry, str) else entry

    async def work():
        plugins = [WHOLE_NETWORK] if method == "whole_network" else []
        bench = Workbench(Comparison(methods=method, plugins=plugins, training=TRAINING))
        typed(bench.setup.what, what)
        typed(bench.setup.training, training)
        (card,) = bench.setup.methods.cards
        typed(card.form, options)
        await bench.launch()
        for run in bench.watch.runs:
            await asyncio.to_thread(run.wait)
        bench.background.stop()
        return bench.watch.runs

    (run,) = asyncio.run(asyncio.wait_for(work(), PATIENCE))
    assert run.status().state == "finished", run.status().message
