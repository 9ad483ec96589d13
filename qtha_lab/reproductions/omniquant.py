"""OmniQuant: learnt clipping against plain rounding and one clip per channel.

Evaluated on held-out text.
"""

import itertools
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from qtha_lab import models, tasks
from qtha_lab.core.settings import setting
from qtha_lab.models.quantisation import calibration, clip_training
from qtha_lab.models.quantisation.calibration import blocks_of
from qtha_lab.models.quantisation.schemes import Rounding, rounding_named
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log
from qtha_lab.tasks.messages import render

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
STEPS = 6  # as tiny has blocks; a step of a deeper model is several
HELD_OUT = 96  # rows per seed


@dataclass(frozen=True)
class QuantisedModel:
    """Model that the arms quantise."""

    model: str = setting("tiny", "Language model: a short name, a folder or a fetched hub id.")


def check_quantised_model(chosen: QuantisedModel) -> None:
    """Refuse an unknown model, or one that is not on this machine.

    Raises:
        Refusal: With the reason.
    """
    models.check_model(chosen.model, "causal-lm")


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
    data="{model}, held-out chat",
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
              "learnt clips lose less than rounding at 2 bits", from_paper=True),
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
    steps=(STEPS, STEPS),
    settings=QuantisedModel,
    check=check_quantised_model,
)  # fmt: skip
def omniquant(arm: str, seed: int, quick: bool, log: Log, settings: QuantisedModel) -> None:
    """Quantise a model; the seed selects calibration and held-out rows.

    A step is a sixth of the blocks.
    """
    long, short = (16, 8) if quick else (1000, 200)
    way = rounding_named(WAYS[arm].format(long=long, short=short))
    loaded = models.load_model(settings.model)
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
    scheme: clip_training.Settings = way  # pyright: ignore[reportAssignmentType]  it has steps
    model = loaded.model.eval()
    n_blocks, trained, course = len(blocks_of(model)[1]), itertools.count(1), iter(log.course())

    def record(error: float) -> None:
        number = next(trained)
        if number * STEPS // n_blocks > (number - 1) * STEPS // n_blocks:
            log.train(next(course), loss=error)
        else:
            log.look()

    return clip_training.train_clips(scheme, model, batches, record)


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
