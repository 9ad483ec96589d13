"""quantum-adapter: LoRA's factors from the amplitudes of a circuit of about 140 angles a layer.

The controls are as many classical numbers, untrained angles, and LoRA of the same rank.
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
    "circuit": "quantum_adapter(r=4)",
    "classical": "quantum_adapter(r=4,generator=classical)",
    "frozen": "quantum_adapter(r=4,train_generator=false)",
    "lora": "lora(r=4,lora_alpha=8)",
}


@reproduction(
    name="quantum_adapter",
    title="quantum-adapter, amplitude method",
    arxiv="PyPI",
    claim=(
        "Factors of LoRA that a circuit generates do as well as LoRA with 87 times fewer numbers."
    ),
    paper_says="SST-2 on GPT-2: 87.3 % for 87.7 % with 87 times fewer numbers (package's page)",
    works="method `quantum_adapter`, on any layer; the circuit runs once a step",
    source=(
        "page and settings of quantum-adapter 0.1.1 on PyPI; model, task and classical control"
        " are ours [R]"
    ),
    control=(
        "as many classical numbers times a frozen random matrix, untrained angles, LoRA of the"
        " same rank"
    ),
    data=DATA,
    minutes=60,
    arms={
        "circuit": "factors from a circuit's amplitudes",
        "classical": "from as many classical numbers",
        "frozen": "from the circuit as drawn, its scale trained",
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
            "circuit",
            "classical",
            "test_loss",
            "the circuit is better than classical numbers in its place",
            from_paper=True,
        ),
        PaperClaim("circuit", "frozen", "test_loss", "training the angles lowers the loss"),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def quantum_adapter(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one generator with one seed."""
    return experiment_on(settings, METHODS[arm], seed, quick)
