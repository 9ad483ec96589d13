"""QPA: LoRA factors of the output layer generated from circuit probabilities.

The controls generate the numbers without a circuit, or train them directly. All arms adapt the
output layer alone, as the paper does. The weights that it shares with the embedding stay frozen.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

LAYER = "lm_head"
# the authors' widths train more than LoRA's 4 (4096 + 192) numbers on tiny; without activations,
# widths above the N + 1 = 5 inputs give the same functions
WIDTHS = {"tiny": ",hidden=[8]"}
METHODS = {
    "circuit": "qpa(r=4{widths})",
    "classical": "qpa(r=4,generator=classical{widths})",
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
    source=(
        "paper and its authors' code: the output layer alone, chunks and widths; on tiny chunks of"
        " a 16th and one width of 8 [R]"
    ),
    control=(
        "the same network over a classical distribution of as many numbers, LoRA of the same rank"
        " on the same layer"
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
            from_paper=True,
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
    method = METHODS[arm].format(widths=WIDTHS.get(settings.model, ""))
    experiment = experiment_on(settings, method, seed, quick)
    return experiment.replace(method=experiment.method.replace(target_modules=[LAYER]))
