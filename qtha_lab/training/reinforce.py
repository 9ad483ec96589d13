"""REINFORCE on sampled answers, with the mean reward of the other answers as baseline.

    ∇ E[R] ≈ 1/(B K) Σ_b Σ_k (R_bk − mean of R_bj, j ≠ k) ∇ log π(y_bk | x_b)

for B prompts and K answers per prompt. The mean of the other answers is independent of the answer,
so it reduces the variance and adds no bias. Answers are sampled from the model's own distribution,
at temperature 1 and without truncation. The samples depend only on the seed of the run and the step
number. A resumed run therefore repeats an uninterrupted one, and compared methods use the same
random numbers.

Source:
    Williams 1992, REINFORCE; the mean of the others as baseline is RLOO, Kool et al. 2019 and
    arXiv:2402.14740.
    A text reward in place of CartPole's reward of Dist-QTRL (arXiv:2412.08845) is ours [R].
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
from transformers import GenerationConfig, TrainerCallback

from qtha_lab.experiment import Reinforce
from qtha_lab.tasks import collate
from qtha_lab.tasks.task import IGNORED
from qtha_lab.training import scores
from qtha_lab.training.evaluation import evaluating
from qtha_lab.training.objective import Objective, log_likelihoods

Score = Callable[[Sequence[str], Sequence[str]], list[float]]


class Written(NamedTuple):
    """Prompt and its answer, as token ids."""

    prompt: list[int]
    answer: list[int]


class Reward(Objective, TrainerCallback):
    """REINFORCE objective on sampled answers.

    As a callback, it follows the step number of the Trainer. The loss value is 1 − mean reward; its
    gradient is the negative of the gradient above.

    Args:
        tokenizer: Tokenizer of the model.
        settings: Number of answers and reward.
        longest: Longest answer in tokens.
        seed: Seed of the run.
        score: Rewards of answers against their references; None selects the ROUGE measure of
            `settings`.
    """

    counts_labels = False

    def __init__(
        self,
        tokenizer: Any,
        settings: Reinforce,
        longest: int,
        seed: int,
        score: Score | None = None,
    ) -> None:
        self.tokenizer, self.seed = tokenizer, seed
        self.samples, self.longest = settings.samples, longest
        self.score = score or (
            lambda outputs, texts: scores.rouge_by_row(outputs, texts, settings.reward)
        )
        self.collate = collate(tokenizer)
        self.step, self.part = 0, 0

    def on_step_begin(self, args, state, control, **kwargs):
        """Store the step number, which seeds the samples."""
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
        """Compute log π of each answer in nats, summed over tokens with the end token."""
        encoded = [
            {
                "input_ids": [*p, *a],
                "attention_mask": [1] * (len(p) + len(a)),
                "labels": [IGNORED] * len(p) + a,
            }
            for p, a in rows
        ]
        device = next(student.parameters()).device
        batch = {name: tensor.to(device) for name, tensor in self.collate(encoded).items()}
        return log_likelihoods(student, batch)


@contextlib.contextmanager
def drawing(*words: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generator of a device from whole numbers inside the block.

    The earlier random state is restored afterwards.
    """
    seed = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]) >> 1
    is_cpu = device.type == "cpu"
    with torch.random.fork_rng(
        [] if is_cpu else [device], device_type="cuda" if is_cpu else device.type
    ):
        torch.manual_seed(seed)
        yield


def loss_meaning(reward: str) -> str:
    """Describe the meaning of the training loss in a sentence."""
    return (
        f"Train losses are 1 − the mean {reward} of sampled answers; evaluation losses are in nats."
    )


def advantages(rewards: Float[Tensor, " answers"], samples: int) -> Float[Tensor, " answers"]:
    """Compute each answer's reward minus the mean reward of the prompt's other answers.

    Example:
        >>> advantages(torch.tensor([1.0, 0.0, 0.5, 0.5]), samples=2)
        tensor([ 1., -1.,  0.,  0.])
    """
    by_prompt = rewards.reshape(-1, samples)
    others = (by_prompt.sum(1, keepdim=True) - by_prompt) / (samples - 1)
    return (by_prompt - others).flatten()


def prompts_and_answers(batch: dict[str, Tensor]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the prompt tokens and the last answer of each row."""
    for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        end = max(place for place, label in enumerate(labels) if label != IGNORED) + 1
        length = sum(1 for _ in takewhile(lambda label: label != IGNORED, reversed(labels[:end])))
        start = max(1, end - length)  # the first token is never predicted
        yield ids[:start], labels[start:end]


def sample(model: nn.Module, prompts: list[list[int]], longest: int, pad: int) -> list[list[int]]:
    """Sample an answer to each prompt from the model's own distribution, end token included.

    Args:
        model: Model in any mode; evaluation mode is set during sampling.
        prompts: Token ids of each prompt.
        longest: Maximum number of tokens per answer.
        pad: Padding token.
    """
    device, width = next(model.parameters()).device, max(map(len, prompts))
    padded = torch.tensor([[pad] * (width - len(row)) + row for row in prompts], device=device)
    mask = torch.tensor(
        [[0] * (width - len(row)) + [1] * len(row) for row in prompts], device=device
    )
    generate: Callable = getattr(model, "generate")  # noqa: B009  undeclared in nn.Module
    ends = _ends_of(model)
    plain = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.0,
        max_new_tokens=longest,
        pad_token_id=pad,
        eos_token_id=sorted(ends) or None,
    )
    with evaluating(model):
        sequences = generate(input_ids=padded, attention_mask=mask, generation_config=plain)
    return [_until(row, ends) for row in sequences[:, width:].tolist()]


def _ends_of(model: nn.Module) -> set[int]:
    """Return the token ids that end an answer of a model."""
    end = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if end is None:
        return set()
    return set(end) if isinstance(end, list) else {int(end)}


def _until(row: list[int], ends: set[int]) -> list[int]:
    """Cut a row after the first end token."""
    place = next((number for number, token in enumerate(row) if token in ends), len(row))
    return row[: place + 1]
