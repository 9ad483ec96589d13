"""Evaluate a model on encoded rows: exact token-weighted loss, accuracy, generated answers.

Keeps the logits of one batch at a time. Reads tensors from the task's collator and trains nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from qtha_lab.training import metrics


class Interrupted(Exception):  # noqa: N818
    """The run was asked to stop in the middle of an evaluation."""


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout off and gradients off, and put the model back as it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def batches(rows: list, size: int) -> Iterator[list]:
    """Consecutive slices of at most `size` rows."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def evaluate_lm(
    model: nn.Module, rows: list[dict], collate: Callable, size: int, poll: Callable[[], None]
) -> dict[str, float]:
    """Mean loss over all answer tokens, its exponential, and the share of tokens guessed right.

    The mean runs over the tokens of the whole set at once, so neither padding nor the cut into
    batches changes it.

    Args:
        model: Put into evaluation mode by the caller.
        rows: As `Task.encode` gives them.
        collate: Makes a batch of tensors of rows.
        size: Rows in a batch.
        poll: Called before every batch; may raise `Interrupted`.

    Returns:
        "loss" in nats, "perplexity" and "token_accuracy".
    """
    loss, right, count = 0.0, 0, 0
    for part in batches(rows, size):
        poll()
        batch = _to(collate(part), model)
        labels = batch.pop("labels")[:, 1:]
        is_label = labels != -100
        logits = model(**batch).logits[:, :-1][is_label].float()
        labels = labels[is_label]
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(-1) == labels).sum())
        count += labels.numel()
    mean = loss / max(count, 1)
    return {
        "loss": mean,
        "perplexity": metrics.perplexity(mean),
        "token_accuracy": right / max(count, 1),
    }


def evaluate_classification(
    model: nn.Module, rows: list[dict], collate: Callable, size: int, poll: Callable[[], None]
) -> dict[str, float]:
    """Mean loss over the rows, accuracy and macro-F1.

    Args:
        model: Put into evaluation mode by the caller.
        rows: As `Task.encode` gives them.
        collate: Makes a batch of tensors of rows.
        size: Rows in a batch.
        poll: Called before every batch; may raise `Interrupted`.

    Returns:
        "loss" in nats, "accuracy" and "macro_f1".
    """
    loss, predicted, actual = 0.0, [], []
    for part in batches(rows, size):
        poll()
        batch = _to(collate(part), model)
        labels = batch.pop("labels")
        logits = model(**batch).logits.float()
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        predicted += logits.argmax(-1).tolist()
        actual += labels.tolist()
    return {"loss": loss / len(rows), **metrics.classification_scores(predicted, actual)}


def generate(
    model: nn.Module,
    tokenizer: Any,
    prompts: list[str],
    *,
    max_new_tokens: int,
    size: int,
    poll: Callable[[], None] = lambda: None,
) -> list[str]:
    """Greedy answers to prompts, without the prompt and without special tokens.

    Args:
        model: Put into evaluation mode by the caller.
        tokenizer: The model's.
        prompts: Texts with their special tokens written out.
        max_new_tokens: Longest answer.
        size: Prompts in a batch.
        poll: Called before every batch; may raise `Interrupted`.
    """
    outputs = []
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    for part in batches(prompts, size):
        poll()
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in part]
        width = max(map(len, ids))
        padded = torch.tensor([[pad] * (width - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
        generate_tokens: Callable = getattr(model, "generate")  # noqa: B009  undeclared in nn.Module
        answers = generate_tokens(
            input_ids=padded.to(_device(model)),
            attention_mask=mask.to(_device(model)),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=pad,
        )
        outputs += tokenizer.batch_decode(answers[:, width:], skip_special_tokens=True)
    return [text.strip() for text in outputs]


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _to(batch: dict, model: nn.Module) -> dict:
    return {name: tensor.to(_device(model)) for name, tensor in batch.items()}
