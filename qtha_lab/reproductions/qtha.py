"""QTHA: tensor networks around a circuit and a linear branch.

The controls are LoRA and QTHA without the circuit.
"""

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
    "qtha": f"qtha({SIZES})",
    "no_circuit": f"qtha({SIZES},use_circuit=false)",
    "silu": f"qtha({SIZES},stand_in=silu)",
    "lora": "lora(r=4,lora_alpha=8)",
}


@reproduction(
    name="qtha",
    title="QTHA",
    arxiv="2503.12790",
    claim="With fewer numbers than LoRA, tensor networks and a circuit reach a lower loss.",
    paper_says="76 % fewer parameters, up to 17 % lower training loss and better test scores [P]",
    works="method `qtha` with every branch, ansatz, read-out and control",
    source="abstracts and the authors' code; the product of version 1 [R]",
    control="without the circuit, SiLU layers in its place, LoRA of the same rank",
    data=DATA,
    minutes=10,
    arms={
        "qtha": "tensor networks, circuit, linear branch",
        "no_circuit": "without the circuit",
        "silu": "SiLU layers in its place",
        "lora": "LoRA of rank 4",
    },
    claims=[
        PaperClaim(
            "qtha", "lora", "test_loss", "QTHA ends at a lower loss than LoRA", from_paper=True
        ),
        PaperClaim("qtha", "lora", "trainable_parameters", "QTHA trains fewer numbers than LoRA"),
        PaperClaim("qtha", "no_circuit", "test_loss", "the circuit lowers the loss"),
        PaperClaim(
            "qtha", "silu", "test_loss", "the circuit is better than SiLU layers in its place"
        ),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def qtha(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one architecture with one seed."""
    return experiment_on(settings, METHODS[arm], seed, quick)
