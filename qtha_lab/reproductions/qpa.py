"""QPA: LoRA factors generated from circuit probabilities, against other generators.

The controls generate the numbers without a circuit.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

METHODS = {
    "circuit": "qpa(r=4,chunk=64)",
    "classical": "qpa(r=4,chunk=64,generator=classical)",
    "lora": "lora(r=4,lora_alpha=8)",
}


@reproduction(
    name="qpa",
    title="QPA, batched generation",
    arxiv="2410.09846",
    claim=(
        "A circuit and a small network generate LoRA's factors, with fewer numbers and as good a"
        " fine-tune."
    ),
    paper_says="GPT-2: perplexity 1.583 for 1.595, with 0.27 % of the numbers for 0.52 % [T]",
    works="method `qpa`, on any layer; the circuit runs once a step",
    source="paper and its authors' code",
    control=(
        "the same network over a classical distribution of as many numbers, LoRA of the same rank"
    ),
    data=DATA,
    minutes=8,
    arms={
        "circuit": "factors from a circuit",
        "classical": "from as many classical numbers",
        "lora": "LoRA of rank 4",
    },
    claims=[
        PaperClaim(
            "circuit",
            "lora",
            "test_loss",
            "generated factors are no worse than LoRA by 0.05 nat",
            margin=0.05,
        ),
        PaperClaim(
            "circuit", "lora", "trainable_parameters", "generated factors train fewer numbers"
        ),
        PaperClaim(
            "circuit",
            "classical",
            "test_loss",
            "the circuit is better than classical numbers in its place",
        ),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def qpa(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one generator with one seed."""
    return experiment_on(settings, METHODS[arm], seed, quick)
