"""RoSTE: rotations chosen by the rounding error, with LoRA trained through 4 bits.

The controls are no rotations, all rotations and random rotations.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.prequant import LINEAR

ARMS = {
    "chosen": "4-bit weights, inputs, keys and values, rotated where that reduces the error",
    "nowhere": "the same without rotations: the straight-through gradient alone",
    "everywhere": "the same, every layer and head rotated by a Hadamard matrix",
    "random": "the same, every layer and head rotated by a random orthogonal matrix",
}


@reproduction(
    name="roste",
    title="RoSTE",
    arxiv="2502.09003",
    claim="Fine-tuning through 4-bit weights, inputs and keys ends lower when rotations are chosen "
    "by the rounding error.",
    works="quantization=rotated(w,a,kv)",
    source="arXiv:2502.09003; one rotation a layer and two an attention, relative errors, and LoRA "
    "beside the rounded weights "
    "instead of the weights themselves are ours",
    control="no rotation, a Hadamard matrix everywhere, a random orthogonal one everywhere",
    data=DATA,
    minutes=25,
    arms=ARMS,
    claims=[
        PaperClaim("chosen", "nowhere", "test_loss", "chosen rotations end below none"),
        PaperClaim("chosen", "everywhere", "test_loss",
              "chosen rotations end below a Hadamard matrix everywhere"),
        PaperClaim("chosen", "random", "test_loss",
              "chosen rotations end below random ones everywhere"),
        PaperClaim("chosen", "nowhere", "eval_loss_start",
              "before any training chosen rotations lose less than none", better="lower"),
        PaperClaim("everywhere", "nowhere", "eval_loss_start",
              "so does a Hadamard matrix everywhere", better="lower"),
        PaperClaim("random", "nowhere", "eval_loss_start", "so do random ones", better="lower"),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)  # fmt: skip
def roste(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one arm by LoRA, with every linear layer adapted."""
    method = "lora(r=4,lora_alpha=8,learning_rate=0.01)"
    experiment = experiment_on(settings, method, seed, quick)
    return experiment.replace(
        quantization=f"rotated(w=4,a=4,kv=4,rotations={arm})",
        method=experiment.method.replace(target_modules=list(LINEAR)),
    )
