"""OmniQuant: learnt clipping against plain rounding and one clip per channel.

Evaluated on held-out text of the toy model.
"""

import torch
from torch.nn.functional import cross_entropy

from qtha_lab import models, tasks
from qtha_lab.models.quantisation import calibration
from qtha_lab.models.quantisation import clip_training as learning
from qtha_lab.models.quantisation.schemes import Rounding, rounding_named
from qtha_lab.reproductions.machinery.log import Log
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.tasks.formatting import render

WAYS = {  # step counts are filled in; per channel, as in the paper's weight-only table
    "rounded": "round(w=2,g=null)",
    "grid": "round(w=2,g=null,clip=grid)",
    "paper": "learned(w=2,start=paper,steps={long})",
    "learned": "learned(w=2,start=grid,steps={long})",
    "rounded_w3": "round(w=3,g=null)",
    "grid_w3": "round(w=3,g=null,clip=grid)",
    "learned_w3": "learned(w=3,start=grid,steps={short})",
    "rounded_w4a4": "rotated(w=4,a=4,kv=16,rotations=nowhere)",
    "learned_w4a4": "learned(w=4,a=4,start=grid,steps={short})",
}
BLOCKS = 6  # of tiny
HELD_OUT = 96  # rows per seed


@reproduction(
    name="omniquant",
    title="OmniQuant",
    arxiv="2308.13137",
    claim="Learnt clips and scales keep a model of few bits nearer to the whole one than rounding "
    "to nearest.",
    paper_says="LLaMA-7B: perplexity 5.86 for 6.43 with 4 bits, 6.49 for 25.73 with 3 [C]",
    works="quantization=learned(w,a)",
    source="arXiv:2308.13137 and the authors' code: γ = β = 4, AdamW at 1e-2, a row a step, block "
    "by block; starting from "
    "the grid's clip is ours",
    control="one clip a channel by the error of its weights; plain rounding",
    data="tiny, held-out chat",
    minutes=25,
    arms={
        "rounded": "2-bit weights, a grid a channel, rounded to nearest",
        "grid": "the same, each channel's range cut where its weights err least",
        "paper": "the same, ranges learnt block by block from nearly none cut",
        "learned": "the same, learnt from the grid's",
        "rounded_w3": "3-bit weights, rounded to nearest",
        "grid_w3": "3-bit weights, ranges by the weights' error",
        "learned_w3": "3-bit weights, ranges learnt from the grid's",
        "rounded_w4a4": "4-bit weights and inputs, rounded to nearest",
        "learned_w4a4": "4-bit weights and inputs, ranges and scales learnt",
    },
    claims=[
        PaperClaim("learned", "rounded", "eval_loss",
              "learnt clips lose less than rounding at 2 bits"),
        PaperClaim("learned", "grid", "eval_loss",
              "learnt clips lose less than one clip a channel at 2 bits"),
        PaperClaim("paper", "rounded", "eval_loss",
              "so they do from the paper's start, against rounding"),
        PaperClaim("paper", "grid", "eval_loss", "and against one clip a channel"),
        PaperClaim("learned_w3", "rounded_w3", "eval_loss",
              "learnt clips lose less than rounding at 3 bits"),
        PaperClaim("learned_w3", "grid_w3", "eval_loss", "and less than one clip a channel"),
        PaperClaim("learned_w4a4", "rounded_w4a4", "eval_loss",
              "with 4-bit inputs, clips and scales lose less than rounding"),
    ],
    steps=(BLOCKS, BLOCKS),
)  # fmt: skip
def omniquant(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Quantise tiny; the seed selects calibration and held-out rows.

    A step is a block.
    """
    long, short = (16, 8) if quick else (1000, 200)
    way = rounding_named(WAYS[arm].format(long=long, short=short))
    loaded = models.load_model("tiny")
    rows = _held_out(loaded, seed, HELD_OUT // 6 if quick else HELD_OUT)
    whole = _loss(loaded.model, rows)
    log.evaluate(0, loss=whole)
    learnt = {} if not way.calibrates else _learnt(way, loaded, seed, quick, log)
    way.apply(loaded.model, learnt)
    log.evaluate(log.steps, loss=_loss(loaded.model, rows))
    log.end(
        trainable_parameters=sum(t.numel() for t in learnt.values()), eval_loss_whole_base=whole
    )


def _learnt(
    way: Rounding, loaded: models.LoadedModel, seed: int, quick: bool, log: Log
) -> dict[str, torch.Tensor]:
    if not hasattr(way, "steps"):
        return {}  # rounds inputs, learns nothing
    count = 16 if quick else calibration.ROWS
    texts = calibration.calibration_texts(loaded.tokenizer, count, skip=seed * calibration.ROWS)
    batches = calibration.batches_of(texts, loaded.tokenizer, calibration.LENGTH)
    blocks = iter(log.course())
    settings: learning.Settings = way  # pyright: ignore[reportAssignmentType]  it has steps
    return learning.train_clips(
        settings, loaded.model.eval(), batches, lambda error: log.train(next(blocks), loss=error)
    )


def _held_out(loaded: models.LoadedModel, seed: int, count: int) -> list[torch.Tensor]:
    """Return token ids of conversations from the evaluation pool, different for each seed."""
    rows = tasks.load_task("chat").eval[seed * HELD_OUT :][:count]
    texts = [render(row["messages"], loaded.tokenizer) for row in rows]
    encoded = loaded.tokenizer(texts, truncation=True, max_length=calibration.LENGTH)
    return [torch.tensor([ids]) for ids in encoded["input_ids"]]


@torch.no_grad()
def _loss(model: torch.nn.Module, rows: list[torch.Tensor]) -> float:
    """Return the loss in nats per token."""
    model.eval()
    losses = [cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum") for ids in rows]
    return float(sum(losses)) / sum(ids.shape[1] - 1 for ids in rows)
