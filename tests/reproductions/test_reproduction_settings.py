"""Settings of reproductions: model, task and folder; without them nothing changes."""

import copy

import pytest
from support.refusals import refused

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.plan import resolve
from qtha_lab.models import load_model
from qtha_lab.models.catalogue import KNOWN
from qtha_lab.reproductions import REPRODUCTIONS, lora, reproduce
from qtha_lab.reproductions.machinery.fine_tunes import ModelAndTask
from qtha_lab.reproductions.machinery.registry import reproduction_of
from qtha_lab.reproductions.machinery.reproduction_study import folder_name
from qtha_lab.reproductions.machinery.run_arms import Arm, experiment_of, run_arms
from qtha_lab.runs.run import Run
from qtha_lab.studies.work import Work, complete

TINY_FOLDER = KNOWN["tiny"].folder  # a model folder that every machine has
FINE_TUNES = sorted(n for n, of in REPRODUCTIONS.items() if of.settings is ModelAndTask)


def experiments(text: str, quick: bool = True) -> list[Experiment]:
    """Return the experiments of all arms with seed 2."""
    of = reproduction_of(text)
    ended = {Arm("teacher", 2, quick): Run(TINY_FOLDER)}
    return [experiment_of(of, Arm(arm, 2, quick), ended) for arm in of.arms]


def test_fine_tunes_of_a_language_model_have_a_model_and_a_task():
    names = "distillation_qa lora prequant qpa qtha quantum_adapter quantum_peft quantum_train"
    assert [*names.split(), "roste", "ttn_vqc_qa"] == FINE_TUNES


@pytest.mark.parametrize("name", FINE_TUNES)
def test_without_settings_names_and_data_are_those_of_the_recorded_verdicts(name):
    of = reproduction_of(f"{name}(model=tiny,task=qa)")
    assert of == reproduction_of(name)
    assert (of.text, folder_name(of, quick=False)) == (name, name)
    assert of.data.startswith("tiny on qa")
    assert {(e.model, e.task) for e in experiments(name)} == {("tiny", "qa")}


def test_without_settings_an_arm_is_the_experiment_that_it_was():
    training = {
        "steps": 100,
        "generate_rows": 0,
        "spectrum_every": 0,
        "eval_every": 25,
        "checkpoint_every": 50,
    }
    for method, experiment in zip(lora.METHODS.values(), experiments("lora", False), strict=True):
        before = Experiment(model="tiny", task="qa", method=method, seed=2, training=training)
        titled = before.method.replace(title=experiment.method.title)
        assert experiment.to_yaml() == before.replace(method=titled).to_yaml()


@pytest.mark.parametrize("name", FINE_TUNES)
def test_every_arm_takes_the_chosen_model_and_task(name):
    text = f"{name}(model={TINY_FOLDER},task=recall)"
    of = reproduction_of(text)
    assert of.text == text
    assert of.data.startswith(f"{TINY_FOLDER} on recall")
    assert {(e.model, e.task) for e in experiments(text)} == {(str(TINY_FOLDER), "recall")}
    if name != "qpa":  # the widths of its network are smaller on tiny
        assert [e.replace(model="tiny", task="qa") for e in experiments(text)] == experiments(name)
    assert folder_name(of, quick=True).startswith(f"{name}-model_")


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_qpa_adapts_the_output_layer_alone_with_fewer_numbers_than_lora():
    counts = [resolve(e).layout.trainable for e in experiments("qpa")]
    # N = 4: 8 N angles or numbers, then 5-8-1072; LoRA has 4 (4096 + 192)
    assert counts == [32 + 6 * 8 + 9 * 1072] * 2 + [17_152]
    assert counts[0] == 9_728


def test_a_variant_takes_further_settings():
    of = reproduction_of(f"ttn_vqc(task=qa,model={TINY_FOLDER})")
    assert of.name == "ttn_vqc_qa"
    assert of.options == {"model": str(TINY_FOLDER)}
    assert reproduction_of("distillation(task=qa)").options == {}


@pytest.mark.parametrize(
    ("text", "setting", "value", "rule"),
    [
        ("lora(model=tinny)", "model", "'tinny'", ""),
        ("qpa(model=nobody/nothing)", "Model nobody/nothing", "", "is not on this machine"),
        ("ttn_vqc(task=qa,model=tinny)", "model", "'tinny'", ""),
        ("qtha(task=qna)", "task", "'qna'", ""),
        ("prequant(task=missing.csv)", "missing.csv", "no file", ""),
        ("lora(rank=2)", "setting of lora", "'rank'", ""),
        ("omniquant(model=tinny)", "model", "'tinny'", ""),
        ("hqrnn(folder=missing)", "missing/train_FD001.txt", "no file", ""),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(text, setting, value, rule, tmp_path):
    with refused(setting, value, rule=rule) as record:
        reproduce(text, tmp_path)
    assert len(str(record.value)) <= 300
    assert "\n" not in str(record.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_fine_tunes_run_on_a_chosen_task(tmp_path):
    verdict = reproduce("lora(task=recall)", tmp_path / "out", quick=True, seeds=1)
    assert verdict["command"] == "qtha-lab reproduce 'lora(task=recall)' --quick --seeds 1"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["lora-task_recall-quick"]
    entries = [entry for of_arm in verdict["arms"].values() for entry in of_arm]
    assert {entry["task"] for entry in entries} == {"recall"}


@pytest.mark.slow
def test_a_model_of_nine_blocks_is_quantised_in_six_steps(tmp_path):
    loaded = load_model("tiny")
    blocks = loaded.model.model.layers
    blocks.extend(copy.deepcopy(blocks[:3]))
    loaded.model.config.num_hidden_layers = 9
    loaded.model.save_pretrained(tmp_path / "nine")
    loaded.tokenizer.save_pretrained(tmp_path / "nine")
    of = reproduction_of(f"omniquant(model={tmp_path / 'nine'})")
    arm = Arm("learned_w3", 0, quick=True)
    work = Work()
    run = complete(run_arms(of, [arm], work, tmp_path / "runs"), work)[arm]
    assert [e["step"] for e in run.valid_events() if e["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    # a low and a high clip for each output of a block, 9 blocks: 2 · 9 (3 · 192 + 2 · 64 + 2 · 512)
    assert run.summary["trainable_parameters"] == 31_104
