"""Each of the fourteen relatives of QTHA is a setting of the page.

Typed there, launched there, trained on a language model. What trains no comparison is a preset,
launched, watched and stopped there.
"""

import asyncio
import html
from pathlib import Path

import pytest
from support.command_line import call
from support.waiting import PATIENCE
from support.workbench_kernel import in_a_kernel, settled

from qtha_lab import Comparison, Experiment, launch
from widgets.kit.boxes import is_shown
from widgets.workbench.setup import PRESET
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
        await bench.start()
        for run in bench.watch.runs:
            await asyncio.to_thread(run.wait)
        bench.background.stop()
        return bench.watch.runs

    (run,) = asyncio.run(asyncio.wait_for(work(), PATIENCE))
    assert run.status().state == "finished", run.status().message


# the preset, what is typed over its small size, and words of its output
COMMANDS = {
    "learn initial angles": (
        {"methods": "qtha(r=2,n_layers=1)", "epochs": "1"}, "use it as angles=flip(",
    ),
    "search a circuit": (
        {"steps": "20", "candidates": "4", "finetune": "2"}, "use it as ansatz=searched(code=",
    ),
    "train by federated averaging": (
        {"methods": "lora(r=2)", "clients": "2", "rounds": "2", "steps": "4"}
        | {name: str(value) for name, value in TRAINING.items() if name != "steps"},
        "Evaluation loss after the last round",
    ),
    "reproduce a paper": ({"name": "ttn_vqc", "seeds": "1"}, "qtha-lab reproduce ttn_vqc --quick"),
}  # fmt: skip


def chosen(bench, title, entries):
    """Choose a preset of the page and type over its values."""
    bench.setup.preset.value = title
    for name, entry in entries.items():
        bench.systems.form[name].entry = entry


def test_the_form_of_a_command_takes_the_place_of_the_comparison_until_it_is_folded():
    async def work(bench):
        await settled(bench)
        seen = []
        for title in ("search a circuit", "", "search a circuit"):
            bench.setup.preset.value = title or PRESET
            parts = bench.setup.methods, bench.header.launch, bench.setup.training_fold
            seen.append(([*map(is_shown, parts)], bench.systems.form_fold.unfolded))
        bench.systems.form_fold.unfolded = False
        seen.append((bench.setup.preset.value, is_shown(bench.setup.methods)))
        bench.setup.preset.value = "search a circuit"
        bench.setup.finder.entry.value = "learning rate"  # a setting of the comparison
        seen.append((bench.setup.preset.value, is_shown(bench.launch)))
        return seen

    seen = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert seen[0] == seen[2] == ([False] * 3, True)
    assert seen[1] == ([True] * 3, False)
    assert seen[3] == seen[4] == (PRESET, True)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("title", COMMANDS)
def test_a_command_is_launched_from_its_preset_and_watched_to_its_end(title):
    entries, words = COMMANDS[title]

    async def work(bench):
        chosen(bench, title, entries)
        bench.systems.start.click()
        shown = bench.panes.shown, bench.systems.is_shown
        await bench.background.tasks["command"]
        return shown, bench.systems, [run.status().state for run in bench.watch.runs]

    shown, systems, states = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert shown == ("Watch", True)
    assert systems.run.state == "finished", systems.run.output()
    assert words in html.unescape(systems.output.value).replace("\n", " ")
    assert f"{title}: finished" in systems.state.value
    assert not is_shown(systems.stop)
    trains = title in ("train by federated averaging", "reproduce a paper")
    assert set(states) == ({"finished"} if trains else set())


@pytest.mark.slow
def test_a_command_is_found_again_stopped_and_resumed():
    title = "train by federated averaging"

    async def work(bench):
        chosen(bench, title, COMMANDS[title][0] | {"steps": "4000"})
        bench.systems.start.click()
        await until(lambda: bench.watch.runs)
        other = Workbench(Comparison(methods="lora(r=2)"))
        found = other.systems.is_shown, other.systems.run == bench.systems.run
        other.background.stop()
        bench.systems.stop.click()
        await bench.background.tasks["command"]
        stopped = bench.systems.state.value, is_shown(bench.systems.resume)
        bench.systems.resume.click()
        resumed = bench.systems.run.state
        bench.systems.run.interrupt()
        await bench.background.tasks["command"]
        return found, stopped, resumed

    found, stopped, resumed = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert found == (True, True)
    assert f"{title}: stopped" in stopped[0]
    assert stopped[1]
    assert resumed == "running"


@pytest.mark.parametrize(
    ("title", "name", "entry", "sentence"),
    [
        ("learn initial angles", "epochs", "0", "epochs must be at least 1, got 0."),
        ("train by federated averaging", "clients", "2000", "clients must be at most 1000"),
        ("train by federated averaging", "steps", "51", "steps must be a multiple of rounds=5"),
    ],
)
def test_a_bad_entry_of_a_command_says_why_its_launch_is_disabled(title, name, entry, sentence):
    async def work(bench):
        chosen(bench, title, {name: entry})
        return bench.systems

    systems = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert systems.start.disabled
    assert systems.start.tooltip.startswith(f"Launch is disabled. {sentence}")
    (fault,) = systems.faults()
    assert fault.control is systems.form[name]
    assert fault.control.box.error.startswith(sentence)
