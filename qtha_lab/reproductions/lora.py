"""LoRA: comparison of updates of rank one and rank eight."""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

METHODS = {"rank_1": "lora(r=1,lora_alpha=2)", "rank_8": "lora(r=8,lora_alpha=16)"}


@reproduction(
    name="lora",
    title="LoRA",
    arxiv="2106.09685",
    claim="The update of a fine-tune has so low a rank that r = 1 does about as well as r = 8.",
    works="method `lora`, peft's own, and every other of its methods",
    source="paper, section 7.2; peft",
    control="LoRA itself at eight times the size",
    data=DATA,
    minutes=4,
    arms={"rank_1": "LoRA of rank 1", "rank_8": "LoRA of rank 8"},
    claims=[
        PaperClaim(
            "rank_1",
            "rank_8",
            "test_loss",
            "rank 1 is no worse than rank 8 by 0.05 nat",
            margin=0.05,
            from_paper=True,
        )
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def lora(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one rank with one seed."""
    return experiment_on(settings, METHODS[arm], seed, quick)
