"""A reproduction in one file: two ranks of LoRA, as arms of one claim.

qtha-lab check-plugin examples/two_ranks.py
"""

from qtha_lab.plugins import Experiment, PaperClaim, reproduction

METHODS = {"rank_1": "lora(r=1,lora_alpha=2)", "rank_8": "lora(r=8,lora_alpha=16)"}


@reproduction(
    name="two_ranks",
    title="Two ranks",
    arxiv="2106.09685",
    claim="An update of rank 1 is not much worse than one of rank 8.",
    works="method `lora`, setting `r`",
    source="an example of this project",
    control="the same method at eight times the size",
    data="tiny on qa (128 test rows)",
    minutes=2,
    arms={"rank_1": "LoRA of rank 1", "rank_8": "LoRA of rank 8"},
    claims=[
        PaperClaim(
            "rank_1",
            "rank_8",
            "test_loss",
            "rank 1 is no worse by 0.05 nat",
            margin=0.05,
            from_paper=True,
        )
    ],
)
def two_ranks(arm: str, seed: int, quick: bool) -> Experiment:
    """Return the experiment of one arm with one seed."""
    training = {"steps": 6 if quick else 100, "generate_rows": 0}
    return Experiment(model="tiny", task="qa", method=METHODS[arm], seed=seed, training=training)
