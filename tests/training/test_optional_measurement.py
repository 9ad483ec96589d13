"""Measurements beside the losses: a failure is a note of a run that finishes."""

import errno

import pytest
import transformers as hf
from support.trained_runs import PREDICTING, finished

from qtha_lab import Experiment
from qtha_lab.core.paths import data_dir
from qtha_lab.runs.run import Run
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.session import optional_measurement

TOKENIZER = hf.AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")


def run_on(model, folder, **settings):
    model.save_pretrained(folder / "model")
    TOKENIZER.save_pretrained(folder / "model")
    training = PREDICTING | settings.pop("training", {})
    described = Experiment(model=str(folder / "model"), task="qa", training=training, **settings)
    run = Run(finished(described, folder / "runs").path)
    return run, [event["message"] for event in run.valid_events() if event["kind"] == "note"]


@pytest.mark.slow
def test_a_model_that_cannot_answer_a_long_prompt_finishes_with_a_note(tmp_path):
    config = hf.OPTConfig(
        vocab_size=len(TOKENIZER), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        ffn_dim=32, max_position_embeddings=16, word_embed_proj_dim=32,
    )  # fmt: skip
    training = {"max_length": 16, "generate_rows": 4, "max_new_tokens": 16}
    run, notes = run_on(hf.OPTForCausalLM(config), tmp_path, method="lora(r=1)", training=training)
    assert run.state == "finished"
    assert any(note.startswith("answers to evaluation rows are left out: ") for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora(r=1)", "qtha(r=2,waist=8)", "qtha_gradient(r=2)"])
def test_layers_that_a_model_never_calls_are_named(tmp_path, method):
    """Jamba reads the weight of `dt_proj` without a call of the layer."""
    config = hf.JambaConfig(
        vocab_size=len(TOKENIZER), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32, num_experts=2, num_experts_per_tok=1,
        attn_layer_period=2, attn_layer_offset=1, mamba_d_state=4, pad_token_id=0,
    )  # fmt: skip
    run, notes = run_on(hf.JambaForCausalLM(config), tmp_path, method=method)
    assert run.state == "finished"
    (note,) = [n for n in notes if "without a gradient in the first step" in n]
    assert note.endswith("model.layers.0.mamba.dt_proj")
    if method.startswith("qtha"):
        layers = next(e["layers"] for e in run.valid_events() if e["kind"] == "bottleneck")
        assert "model.layers.0.mamba.in_proj" in layers
        assert "model.layers.0.mamba.dt_proj" not in layers


def test_a_stop_and_a_full_disk_are_no_failed_measurements():
    notes: list[str] = []
    for error in (Interrupted(), OSError(errno.ENOSPC, "No space left on device")):
        with pytest.raises(type(error)), optional_measurement("scores", notes.append):
            raise error
    assert notes == []
    with optional_measurement("scores", notes.append):
        raise IndexError("out of range")
    assert notes == ["scores are left out: IndexError: out of range"]
