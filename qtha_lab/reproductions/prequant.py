"""PreQuant: training the outliers of a rounded model against LoRA on the same bits, and against random weights."""

from qtha_lab.experiment import Experiment
from qtha_lab.reproductions import Claim, reproduction

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
METHODS = {  # base and method; of the same size: 23,601 numbers, LoRA 20,352
    "prequant": ("outliers(w={w})", "prequant", {"learning_rate": 2e-2}),
    "random": (
        "outliers(w={w},chosen=random)",
        "prequant",
        {"options": {"chosen": "random"}, "learning_rate": 2e-2},
    ),
    "lora": ("round(w={w},g=null)", "lora", {"options": {"r": 1, "lora_alpha": 2}, "learning_rate": 1e-2}),
    "lora_outliers": ("outliers(w={w})", "lora", {"options": {"r": 1, "lora_alpha": 2}, "learning_rate": 1e-2}),
}  # fmt: skip


@reproduction(
    name="prequant",
    title="PreQuant",
    arxiv="2306.00014",
    claim="Half a percent of the weights, the outliers, trained on a rounded model do what fine-tuning does.",
    works="method prequant(fraction), on quantization=outliers(w)",
    source="arXiv:2306.00014, abstract; which weights are outliers and that the grid's steps are trained is our reconstruction",
    control="LoRA of equal size on plain rounding and on the same base; weights drawn at random",
    data="tiny, qa",
    minutes=30,
    arms={
        "prequant_w4": "outliers of a 4-bit base trained",
        "random_w4": "as many weights drawn at random kept whole and trained",
        "lora_w4": "LoRA of equal size on 4 bits rounded to nearest",
        "prequant_w3": "outliers of a 3-bit base trained",
        "random_w3": "as many weights drawn at random kept whole and trained",
        "lora_w3": "LoRA of equal size on 3 bits rounded to nearest",
        "lora_outliers_w3": "LoRA of equal size on the base of prequant",
    },
    claims=[
        Claim("prequant_w4", "lora_w4", "eval_loss", "at 4 bits it ends below LoRA on plain rounding"),
        Claim("prequant_w3", "lora_w3", "eval_loss", "at 3 bits it ends below LoRA on plain rounding"),
        Claim("prequant_w4", "random_w4", "eval_loss", "at 4 bits outliers do more than random weights"),
        Claim("prequant_w3", "random_w3", "eval_loss", "at 3 bits outliers do more than random weights"),
        Claim("prequant_w3", "lora_outliers_w3", "eval_loss", "at 3 bits it ends below LoRA on the same base"),
    ],
)  # fmt: skip
def prequant(arm: str, seed: int, quick: bool) -> Experiment:
    """One fine-tune of tiny on qa, every linear layer adapted."""
    name, _, bits = arm.rpartition("_w")
    base, method, chosen = METHODS[name]
    size = (
        {"steps": 10, "train_rows": 64, "eval_rows": 16, "test_rows": 16}
        if quick
        else {"steps": 60}
    )
    return Experiment(
        quantization=base.format(w=bits),
        method={"name": method, "target_modules": list(LINEAR), **chosen},
        training={"max_length": 64, "generate_rows": 0, "eval_every": 20, "spectrum_every": 0, **size},
        seed=seed,
    )  # fmt: skip
