"""Evaluation on encoded rows: exact token-weighted loss, accuracy and generated answers.

Stores the logits of one batch at a time. Reads tensors from the task's collator and trains nothing.
Batches hold rows of similar length and depend on lengths alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab.adapters import hold_products
from qtha_lab.tasks.task import Kind
from qtha_lab.training import scores
from qtha_lab.training.objective import IGNORED, Answers
from qtha_lab.training.preference import margins, pair_losses


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield row positions, longest first, in batches of bounded padded size.

    No batch has more padded tokens than `size` of the longest rows. Batches of shorter rows hold
    more rows, so the first batch needs the most memory.

    Example:
        >>> list(by_length([2, 8, 3, 8, 4], size=2))
        [[1, 3], [4, 2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        most = max(size, size * max(lengths) // max(lengths[order[0]], 1))
        yield order[:most]
        order = order[most:]


class Interrupted(Exception):  # noqa: N818
    """Signal of a stop request during an evaluation."""


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Disable dropout and gradients inside the block, and restore the model's mode afterwards.

    The weights do not change.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), hold_products(model):
            yield
    finally:
        model.train(was_training)


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model at every label.

    Attributes:
        losses: Loss of each label, in nats; the squared error of a regression; the loss of a pair.
        predicted: Most likely label at each position; the number of a regression; the margin of a
            pair.
        actual: True label at each position.
        rows: Row index of each label.
        n_rows: Number of rows.
    """

    losses: Tensor
    predicted: Tensor
    actual: Tensor
    rows: Tensor
    n_rows: int

    @property
    def loss(self) -> float:
        """Mean loss over all labels, in nats."""
        return float(self.losses.double().sum()) / len(self.losses)

    def scores(
        self, kind: Kind, scale: tuple[float, float] = (0.0, 1.0), labels: Sequence[str] = ()
    ) -> dict[str, float]:
        """Compute loss and scores of all rows together.

        Args:
            kind: Kind of task.
            scale: Mean and standard deviation of the numbers of a regression.
            labels: Classes, or the ordered labels of a regression.
        """
        if kind == "regression":
            return {"loss": self.loss, **self._regression_scores(scale, labels)}
        if kind == "preference":
            positive = int((self.predicted > 0).sum()) / self.n_rows
            margin = float(self.predicted.double().mean())
            return {"loss": self.loss, "margin": margin, "pair_accuracy": positive}
        if kind == "classification":
            classes = self.predicted.tolist(), self.actual.tolist()
            return {"loss": self.loss, **scores.classification_scores(*classes)}
        return {
            "loss": self.loss,
            "perplexity": scores.perplexity(self.loss),
            "token_accuracy": int((self.predicted == self.actual).sum()) / len(self.actual),
        }

    def _regression_scores(
        self, scale: tuple[float, float], labels: Sequence[str]
    ) -> dict[str, float]:
        """Compute scores in the unit of the numbers; ordered labels count if they are nearest."""
        mean, deviation = scale
        pair = torch.stack([self.predicted, self.actual]).double()
        predicted, actual = mean + deviation * pair
        scores = {
            "correlation": float(torch.corrcoef(pair)[0, 1].nan_to_num()),
            "absolute_error": float((predicted - actual).abs().mean()),
        }
        if labels:
            values = torch.tensor([*map(float, labels)], dtype=torch.float64)
            nearest = [(side[:, None] - values).abs().argmin(1) for side in (predicted, actual)]
            scores["accuracy"] = float((nearest[0] == nearest[1]).double().mean())
        return scores

    def by_row(self) -> tuple[list[float], list[int]]:
        """Return each row's summed loss and number of labels."""
        sums = torch.zeros(self.n_rows, dtype=torch.float64)
        sums.index_add_(0, self.rows, self.losses.double())
        return sums.tolist(), torch.bincount(self.rows, minlength=self.n_rows).tolist()


def predict(
    model: nn.Module,
    rows: list[dict],
    collate: Callable,
    size: int,
    poll: Callable[[], None],
    beta: float = 1.0,
) -> Predictions:
    """Compute losses and predictions of encoded rows.

    Args:
        model: Model; its mode is not changed.
        rows: Token ids and labels.
        collate: Function from rows to a padded batch.
        size: Number of rows in a batch of the longest rows.
        poll: Called before every batch; may raise `Interrupted`.
        beta: Factor of the log-likelihood ratio of preference pairs.
    """
    parts = []
    for places in by_length([len(row["input_ids"]) for row in rows], size):
        poll()
        batch = _to(collate([rows[place] for place in places]), model)
        if "rejected" in rows[0]:
            margin = margins(model, batch, beta).float().cpu()
            of_pairs = pair_losses(margin), margin, torch.ones_like(margin)
            parts.append((*of_pairs, torch.tensor(places)))
            continue
        logits, labels, owners = _labelled(model, batch, batch.pop("labels"))
        if labels.is_floating_point():  # of a regression
            predicted = logits.squeeze(-1)
            losses = (predicted - labels).square()
        else:
            predicted = logits.argmax(-1)
            losses = functional.cross_entropy(logits, labels, reduction="none")
        numbers = torch.tensor(places)[owners.cpu()]
        parts.append((losses.cpu(), predicted.cpu(), labels.cpu(), numbers))
    return Predictions(*(torch.cat(part) for part in zip(*parts, strict=True)), n_rows=len(rows))


def _labelled(model: nn.Module, batch: dict, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute logits, labels and row indices at every label.

    Logits have the shape `(labels, classes)`. Labels are those of rows or of answer tokens.
    """
    if labels.dim() == 1:
        return model(**batch).logits.float(), labels, torch.arange(len(labels))
    if _has_encoder(model):
        has_loss = labels != IGNORED
        logits = model(**batch, labels=labels).logits.float()
        return logits[has_loss], labels[has_loss], has_loss.nonzero()[:, 0]
    answers = Answers(labels)
    with answers.at_the_head(model):
        logits = answers.select(model(**batch).logits).float()
    return logits, answers.tokens, answers.positions // labels.shape[1]


def generate(
    model: nn.Module,
    tokenizer: Any,
    prompts: list[str],
    *,
    max_new_tokens: int,
    size: int,
    poll: Callable[[], None] = lambda: None,
) -> list[str]:
    """Generate greedy answers to prompts, without the prompt and without special tokens.

    Args:
        model: Model in evaluation mode.
        tokenizer: Tokenizer of the model.
        prompts: Texts that contain their special tokens.
        max_new_tokens: Maximum length of an answer.
        size: Number of prompts in a batch of the longest prompts.
        poll: Called before every batch; may raise `Interrupted`.
    """
    outputs: dict[int, str] = {}
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    apart = _has_encoder(model)  # the decoder's tokens do not repeat the prompt
    encoded = [tokenizer(text, add_special_tokens=apart)["input_ids"] for text in prompts]
    for places in by_length([len(row) + max_new_tokens for row in encoded], size):
        poll()
        ids = [encoded[place] for place in places]
        width = max(map(len, ids))
        padded = torch.tensor([[pad] * (width - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
        generate_tokens = cast("Any", model).generate
        answers = generate_tokens(
            input_ids=padded.to(_device(model)),
            attention_mask=mask.to(_device(model)),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=pad,
        )
        new = answers if apart else answers[:, width:]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        outputs.update(zip(places, texts, strict=True))
    return [outputs[place].strip() for place in range(len(prompts))]


def _has_encoder(model: nn.Module) -> bool:
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _to(batch: dict, model: nn.Module) -> dict:
    return {name: tensor.to(_device(model)) for name, tensor in batch.items()}
