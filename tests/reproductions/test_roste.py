"""RoSTE: weights trained through the rounding, against rounding after training."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from qtha_lab import load_model
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.validation import check_base, check_names
from qtha_lab.models.quantisation.grid import round_matrix
from qtha_lab.reproductions import REPRODUCTIONS, reproduce
from qtha_lab.reproductions.machinery.fine_tunes import ModelAndTask
from qtha_lab.reproductions.roste import ARMS, roste
from qtha_lab.runs import export
from qtha_lab.runs.run import list_runs


def test_the_first_claim_is_the_papers_own():
    claim = REPRODUCTIONS["roste"].claims[0]
    assert (claim.arm, claim.control, claim.measure) == ("chosen", "sft_ptq", "test_loss")


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains_all_weights_of_the_linear_layers(arm):
    plan = resolve(roste(arm, 0, True, ModelAndTask()))
    check_names(plan)
    check_base(plan)
    assert plan.layout.trainable == 6 * (2 * 192 * 192 + 2 * 192 * 64 + 3 * 192 * 512)


@pytest.mark.slow
def test_the_quick_form_ends_and_a_merged_arm_has_4_bit_weights(tmp_path):
    verdict = reproduce("roste", tmp_path, quick=True, seeds=1)
    entries = {arm: of[0] for arm, of in verdict["arms"].items()}
    assert {entry["state"] for entry in entries.values()} == {"finished"}
    starts = {arm: entry["eval_loss_start"] for arm, entry in entries.items()}
    assert starts["sft_ptq"] == starts["chosen"] != starts["nowhere"]  # one rounded base
    assert entries["sft_ptq"]["test_loss"] != entries["chosen"]["test_loss"]
    run = next(
        run
        for run in list_runs(tmp_path / "roste-quick" / "runs")
        if run.experiment.method.title == "nowhere"
    )
    result = export.export_run(run, "merged", tmp_path / "merged")
    assert "load with quantization=rotated(" in result.message
    before = load_model("tiny").model
    for model in (
        AutoModelForCausalLM.from_pretrained(result.path),
        load_model(str(result.path), quantization=run.experiment.quantization).model,
    ):
        for name in ("model.layers.0.self_attn.q_proj", "model.layers.5.mlp.down_proj"):
            weight = model.get_submodule(name).weight.double()
            torch.testing.assert_close(round_matrix(weight, 4), weight, atol=1e-5, rtol=0)
            assert not torch.equal(weight, before.get_submodule(name).weight.double())
