"""Training stages on a language model: QTHA's linear branch first, then its circuit.

The control trains both at once.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions.machinery.fine_tunes import (
    DATA,
    FULL,
    QUICK,
    ModelAndTask,
    check_model_and_task,
    experiment_on,
)
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction

SIZES = "r=4,waist=16,bond_dim=3,n_layers=2"
STAND_INS = {"staged_silu": ",stand_in=silu"}


@reproduction(
    name="ttn_vqc_qa",
    variant_of="ttn_vqc",
    title="Pre+TTN-VQC, on a language model",
    arxiv="2306.03741",
    claim=(
        "A tensor-train layer that is trained first makes the training of the circuit behind it"
        " easier and better."
    ),
    works="`phases` for QTHA: `linear(steps=50,use_circuit=false),all(steps=50)`",
    source="abstract of v1 to v4 [P]; half the steps a stage, W_q zero at the switch [R]",
    control="all at once for as many steps, SiLU layers in the second stage",
    data=DATA,
    minutes=8,
    arms={
        "at_once": "all of QTHA from the first step",
        "staged": "without the circuit first, then circuit, W_q and B",
        "staged_silu": "the same with SiLU layers in the second stage",
    },
    claims=[
        PaperClaim(
            "staged",
            "at_once",
            "test_loss",
            "stages end at a lower loss than all at once",
            from_paper=True,
        ),
        PaperClaim(
            "staged",
            "staged_silu",
            "test_loss",
            "the circuit of the second stage ends lower than SiLU there",
        ),
    ],
    settings=ModelAndTask,
    check=check_model_and_task,
)
def ttn_vqc_qa(arm: str, seed: int, quick: bool, settings: ModelAndTask) -> Experiment:
    """Return the experiment of one training schedule with one seed."""
    half = (QUICK if quick else FULL)["steps"] // 2
    second = "S_0,S_1,B" if arm == "staged_silu" else "W_q,angles,B"
    phases = f"linear(steps={half},use_circuit=false),all(steps={half},train=[{second}])"
    method = f"qtha({SIZES}{STAND_INS.get(arm, '')})"
    return experiment_on(settings, method, seed, quick, phases="" if arm == "at_once" else phases)
