"""Distillation on a language model: QTHA and its control learn from a trained LoRA.

The comparison is training on labels alone.
"""

from collections.abc import Mapping
from pathlib import Path

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

SIZES = "r=4,waist=16,bond_dim=3,n_layers=2"
METHODS = {
    "teacher": "lora(r=8,lora_alpha=16)",
    "circuit": f"qtha({SIZES})",
    "silu": f"qtha({SIZES},stand_in=silu)",
}


@reproduction(
    name="distillation_qa",
    variant_of="distillation",
    title="Distillation CNN → QNN, on a language model",
    arxiv="2311.13810",
    claim=(
        "A circuit that learns from the logits of a classical network classifies better than one"
        " that learns from labels."
    ),
    works="`teacher=RUN` with `distil=logits|delta` for every method",
    source="abstract [P]; a LoRA as the teacher, half of the loss from it at T = 2 [R]",
    control="the same for SiLU layers in the circuit's place",
    data=f"{DATA}, 50 steps",
    minutes=10,
    arms={
        "teacher": "LoRA of rank 8",
        "circuit": "QTHA, labels alone",
        "circuit_distilled": "QTHA, labels and teacher",
        "silu": "SiLU layers in the circuit's place, labels alone",
        "silu_distilled": "the same, labels and teacher",
    },
    claims=[
        PaperClaim(
            "circuit_distilled",
            "circuit",
            "test_loss",
            "the teacher lowers the loss of QTHA",
            from_paper=True,
        ),
        PaperClaim(
            "silu_distilled", "silu", "test_loss", "the teacher lowers the loss of the SiLU layers"
        ),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def distillation_qa(
    arm: str, seed: int, quick: bool, earlier: Mapping[str, Path], settings: ModelAndTask
) -> Experiment:
    """Return the experiment of one student with one seed, or of its teacher."""
    kind, _, has_teacher = arm.partition("_")
    steps = {} if quick or arm == "teacher" else {"steps": 50}
    teacher = {"teacher": str(earlier["teacher"])} if has_teacher else {}
    return experiment_on(settings, METHODS[kind], seed, quick, **steps, **teacher)
