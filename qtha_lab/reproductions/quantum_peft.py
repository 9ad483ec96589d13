"""Quantum-PEFT: updates from Pauli rotations, logarithmic in the size of the layer.

The number of parameters grows with the logarithm of the layer size.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

METHODS = {"quantum_peft": "quantum_peft", "lora": "lora(r=1,lora_alpha=2)"}


@reproduction(
    name="quantum_peft",
    title="Quantum-PEFT",
    arxiv="2503.05431",
    claim="Updates from quantum rotations do as well as LoRA with far fewer numbers.",
    paper_says="5 to 25 times fewer parameters than LoRA at a competitive score [P]",
    works="method `quantum_peft`",
    source="paper, section 4",
    control="LoRA at r = 1, the smallest there is",
    data=DATA,
    minutes=4,
    arms={"quantum_peft": "rotations of Pauli matrices", "lora": "LoRA of rank 1"},
    claims=[
        PaperClaim("quantum_peft", "lora", "trainable_parameters", "it trains fewer numbers"),
        PaperClaim(
            "quantum_peft",
            "lora",
            "test_loss",
            "it is no worse than LoRA by 0.05 nat",
            margin=0.05,
            from_paper=True,
        ),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def quantum_peft(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one method with one seed."""
    return experiment_on(settings, METHODS[arm], seed, quick)
