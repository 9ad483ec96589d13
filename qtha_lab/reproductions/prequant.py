"""PreQuant: training the outliers of a quantised model against full fine-tuning and LoRA.

The controls are LoRA on the same quantised weights, and random weights instead of outliers.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# base and method; of similar size (22,164 parameters, LoRA 20,352) except full fine-tuning
METHODS = {
    "prequant": ("outliers(w={w})", "prequant(learning_rate=0.02)"),
    "random": ("outliers(w={w},chosen=random)", "prequant(chosen=random,learning_rate=0.02)"),
    "lora": ("round(w={w},g=null)", "lora(r=1,lora_alpha=2,learning_rate=0.01)"),
    "lora_outliers": ("outliers(w={w})", "lora(r=1,lora_alpha=2,learning_rate=0.01)"),
    "full": ("none", "prequant(fraction=1,learning_rate=0.001)"),
}


@reproduction(
    name="prequant",
    title="PreQuant",
    arxiv="2306.00014",
    claim="Half a percent of the weights, the outliers, trained on a rounded model do what "
    "fine-tuning does.",
    works="method prequant(fraction), on quantization=outliers(w)",
    source="arXiv:2306.00014, abstract; which weights are outliers and that the grid's steps are "
    "trained is our reconstruction",
    control="full fine-tuning without rounding; LoRA of equal size on plain rounding and on the "
    "same base; weights drawn at random",
    data=DATA,
    minutes=30,
    arms={
        "prequant_w4": "outliers of a 4-bit base trained",
        "random_w4": "as many weights drawn at random, unrounded and trained",
        "lora_w4": "LoRA of equal size on 4 bits rounded to nearest",
        "prequant_w3": "outliers of a 3-bit base trained",
        "random_w3": "as many weights drawn at random, unrounded and trained",
        "lora_w3": "LoRA of equal size on 3 bits rounded to nearest",
        "lora_outliers_w3": "LoRA of equal size on the base of prequant",
        "full": "every weight of the linear layers trained, without rounding",
    },
    claims=[
        PaperClaim("prequant_w4", "full", "test_loss",
              "at 4 bits it is no worse than full fine-tuning by 0.02 nat", margin=0.02,
              from_paper=True),
        PaperClaim("prequant_w4", "lora_w4", "test_loss",
              "at 4 bits it ends below LoRA on plain rounding"),
        PaperClaim("prequant_w3", "lora_w3", "test_loss",
              "at 3 bits it ends below LoRA on plain rounding"),
        PaperClaim("prequant_w4", "random_w4", "test_loss",
              "at 4 bits outliers do more than random weights"),
        PaperClaim("prequant_w3", "random_w3", "test_loss",
              "at 3 bits outliers do more than random weights"),
        PaperClaim("prequant_w3", "lora_outliers_w3", "test_loss",
              "at 3 bits it ends below LoRA on the same base"),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)  # fmt: skip
def prequant(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one base and method, with every linear layer adapted."""
    name, _, bits = arm.partition("_w")
    base, method = METHODS[name]
    experiment = experiment_on(settings, method, seed, quick)
    return experiment.replace(
        quantization=base.format(w=bits),
        method=experiment.method.replace(target_modules=list(LINEAR)),
    )
