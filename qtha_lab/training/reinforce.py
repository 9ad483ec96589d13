"""REINFORCE: the model samples answers, and those that earn more than the others to the same prompt become likelier.

    ∇ E[R] ≈ 1/(B K) Σ_b Σ_k (R_bk − mean of R_bj, j ≠ k) ∇ log π(y_bk | x_b)

for B prompts and K answers to each. The mean of the others is independent of the answer, so it takes from the
variance and adds no bias. Answers are drawn from the model's own distribution, at temperature 1 and untruncated.

What is drawn depends on the seed of the run and the number of the step alone, so a run that goes on after a break
repeats an unbroken one, and methods that are compared draw with the same numbers.

Source:
    Williams 1992, REINFORCE; the mean of the others as baseline is RLOO, Kool et al. 2019 and arXiv:2402.14740.
    Reward in the place of CartPole's, for Dist-QTRL (arXiv:2412.08845) on text, is ours [R].
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, TrainerCallback

from qtha_lab.experiment import Training
from qtha_lab.tasks import collate
from qtha_lab.tasks.task import IGNORED
from qtha_lab.training import scores as metrics
from qtha_lab.training.answer_logits import Answers
from qtha_lab.training.evaluation import evaluating
from qtha_lab.training.objective import Objective

Score = Callable[[Sequence[str], Sequence[str]], list[float]]


class Written(NamedTuple):
    """A prompt and an answer to it, as token ids."""

    prompt: list[int]
    answer: list[int]


class Reward(Objective, TrainerCallback):
    """The reward of sampled answers; also told by the Trainer which step begins.

    The loss reads 1 − mean reward; its gradient is the one above, negative.

    Args:
        tokenizer: The model's.
        training: How many answers, how long, and which reward.
        seed: Of the run.
        score: What answers earn against their references; None is ROUGE as the training has it.
    """

    counts_labels = False

    def __init__(
        self, tokenizer: Any, training: Training, seed: int, score: Score | None = None
    ) -> None:
        self.tokenizer, self.seed = tokenizer, seed
        self.samples, self.longest = training.reward_samples, training.max_new_tokens
        self.score = score or (
            lambda outputs, texts: metrics.rouge_by_row(outputs, texts, training.reward)
        )
        self.collate = collate(tokenizer)
        self.step, self.part = 0, 0

    def on_step_begin(self, args, state, control, **kwargs):
        """Note the step, on which the draws depend."""
        self.step, self.part = state.global_step, 0

    def loss(self, student, batch, items):
        rows = [Written(*row) for row in prompts_and_answers(batch) for _ in range(self.samples)]
        device = next(student.parameters()).device
        with drawing(self.seed, self.step, self.part, device=device):
            answers = sample(
                student, [row.prompt for row in rows], self.longest, self.collate.pad_token_id
            )
        self.part += 1
        rewards = self._rewards(answers, [row.answer for row in rows])
        likelihoods = self._log_likelihoods(
            student, [Written(r.prompt, a) for r, a in zip(rows, answers, strict=True)]
        )
        gain = (advantages(rewards, self.samples).to(device) * likelihoods).mean()
        return 1 - rewards.mean().to(device) - (gain - gain.detach())

    def _rewards(
        self, answers: list[list[int]], references: list[list[int]]
    ) -> Float[Tensor, " answers"]:
        outputs, texts = (
            [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]
            for ids in (answers, references)
        )
        return torch.tensor(self.score(outputs, texts), dtype=torch.float32)

    def _log_likelihoods(
        self, student: nn.Module, rows: list[Written]
    ) -> Float[Tensor, " answers"]:
        """log π of every answer, in nats: the sum over its tokens, the one that ends it included."""
        encoded = [
            {"input_ids": [*p, *a], "attention_mask": [1] * (len(p) + len(a)), "labels": [IGNORED] * len(p) + a}
            for p, a in rows
        ]  # fmt: skip
        device = next(student.parameters()).device
        batch = {name: tensor.to(device) for name, tensor in self.collate(encoded).items()}
        labels = batch.pop("labels")
        answers = Answers(labels)
        with answers.at_the_head(student):
            logits = answers.select(student(**batch).logits).float()
        losses = functional.cross_entropy(logits, answers.tokens, reduction="none")
        return -losses.new_zeros(len(rows)).index_add(
            0, answers.positions // labels.shape[1], losses
        )


@contextlib.contextmanager
def drawing(*words: int, device: torch.device) -> Iterator[None]:
    """While open, torch's random numbers on a device are those of some whole numbers; closed, as if none were drawn.

    Args:
        *words: At least 0.
        device: Where is drawn.
    """
    seed = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]) >> 1
    is_cpu = device.type == "cpu"
    with torch.random.fork_rng(
        [] if is_cpu else [device], device_type="cuda" if is_cpu else device.type
    ):
        torch.manual_seed(seed)
        yield


def sentence(reward: str) -> str:
    """What a reader of the train losses must know.

    Args:
        reward: The measure.
    """
    return f"train losses are 1 − the mean {reward} of sampled answers; evaluation losses are nats as ever"


def advantages(rewards: Float[Tensor, " answers"], samples: int) -> Float[Tensor, " answers"]:
    """What each answer earns above the mean of the others to its prompt.

    Args:
        rewards: Of all answers, those to one prompt in a row.
        samples: Answers to a prompt, at least 2.

    Example:
        >>> advantages(torch.tensor([1.0, 0.0, 0.5, 0.5]), samples=2)
        tensor([ 1., -1.,  0.,  0.])
    """
    by_prompt = rewards.reshape(-1, samples)
    others = (by_prompt.sum(1, keepdim=True) - by_prompt) / (samples - 1)
    return (by_prompt - others).flatten()


def prompts_and_answers(batch: dict[str, Tensor]) -> Iterator[tuple[list[int], list[int]]]:
    """Of each row the tokens before its last answer, and that answer.

    Args:
        batch: Padded on the right.
    """
    for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        end = max(place for place, label in enumerate(labels) if label != IGNORED) + 1
        length = sum(1 for _ in takewhile(lambda label: label != IGNORED, reversed(labels[:end])))
        start = max(1, end - length)  # the first token is never predicted
        yield ids[:start], labels[start:end]


def sample(model: nn.Module, prompts: list[list[int]], longest: int, pad: int) -> list[list[int]]:
    """An answer to each prompt, drawn token by token from the model's own distribution; with the token that ends it.

    Args:
        model: In any mode; put into evaluation mode meanwhile.
        prompts: Token ids.
        longest: Most tokens of an answer.
        pad: The token that fills rows up.
    """
    device, width = next(model.parameters()).device, max(map(len, prompts))
    padded = torch.tensor([[pad] * (width - len(row)) + row for row in prompts], device=device)
    mask = torch.tensor(
        [[0] * (width - len(row)) + [1] * len(row) for row in prompts], device=device
    )
    generate: Callable = getattr(model, "generate")  # noqa: B009  undeclared in nn.Module
    ends = _ends_of(model)
    plain = GenerationConfig(
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0,
        max_new_tokens=longest, pad_token_id=pad, eos_token_id=sorted(ends) or None,
    )  # fmt: skip
    with evaluating(model):
        sequences = generate(input_ids=padded, attention_mask=mask, generation_config=plain)
    return [_until(row, ends) for row in sequences[:, width:].tolist()]


def _ends_of(model: nn.Module) -> set[int]:
    """The tokens that end an answer of a model."""
    end = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if end is None:
        return set()
    return set(end) if isinstance(end, list) else {int(end)}


def _until(row: list[int], ends: set[int]) -> list[int]:
    """A row up to the first of some tokens, that one included."""
    place = next((number for number, token in enumerate(row) if token in ends), len(row))
    return row[: place + 1]
