"""A stream of generated text, one token per step, with a key-value cache.

Gives the same text as transformers' `generate` for the same decoding. Several streams may
alternate.
The streamers of transformers need a thread per answer, which cannot alternate on shared weights.
"""

import contextvars
from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from qtha_lab.adapters import hold_products
from qtha_lab.core.errors import Refusal
from qtha_lab.models import most_positions
from qtha_lab.runs.generation.decoding import Decoding


class Stream:
    """An iterator over the text so far; tokens after the last iteration are never computed.

    Args:
        model: Model in evaluation mode, with or without an adapter.
        tokenizer: The model's tokenizer.
        prompt: Prompt with its special tokens written out.
        decoding: Settings of decoding.

    Attributes:
        ids: Tokens of the answer so far.
        text: The answer so far, without special tokens.
        end: "" during generation, then "end of turn" or "longest answer".

    Raises:
        Refusal: If the prompt is empty or fills all positions of the model.
    """

    _tokens: Generator[int, None, str] | None = None

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompt: str,
        decoding: Decoding | None = None,
    ) -> None:
        self.model, self.tokenizer, self.decoding = model, tokenizer, decoding or Decoding()
        self.ids: list[int] = []
        self.end = ""
        prompt_ids: list[int] = tokenizer(prompt, add_special_tokens=False, verbose=False)[
            "input_ids"
        ]
        positions = most_positions(model.config)
        max_new_tokens = min(self.decoding.max_new_tokens, (positions or 2**62) - len(prompt_ids))
        if not prompt_ids:
            raise Refusal("The prompt must not be empty.")
        if max_new_tokens < 1:
            raise Refusal(
                f"The prompt must have fewer than {positions:,} tokens, the positions of the "
                "model, "
                f"got {len(prompt_ids):,}."
            )
        # alternating streams would close their scopes in the wrong order
        self._context = contextvars.copy_context()
        self._tokens = _tokens(
            model, prompt_ids, max_new_tokens, _chooser(self.decoding), _ends(model, tokenizer)
        )

    @property
    def text(self) -> str:
        """The answer so far, without an incomplete last character."""
        return str(self.tokenizer.decode(self.ids, skip_special_tokens=True)).rstrip("\ufffd")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            assert self._tokens is not None
            self.ids.append(self._context.run(next, self._tokens))
        except StopIteration as end:
            self.end = self.end or end.value
            raise
        return self.text

    def __del__(self) -> None:
        if self._tokens is not None:  # None if __init__ refused
            self._context.run(self._tokens.close)

    def whole(self) -> str:
        """Generate and return the complete answer."""
        for _ in self:
            pass
        return self.text


def _tokens(
    model: nn.Module,
    prompt: list[int],
    max_new_tokens: int,
    choose: Callable[[Tensor], Tensor],
    ends: set[int],
) -> Generator[int, None, str]:
    """Yield tokens until the end of the turn or the limit; return the reason."""
    ids, past = torch.tensor([prompt], device=next(model.parameters()).device), None
    with hold_products(model):
        for _ in range(max_new_tokens):
            with torch.no_grad():
                output = model(input_ids=ids, past_key_values=past, use_cache=True)
                ids, past = choose(output.logits[:, -1].float()), output.past_key_values
            token = int(ids)
            if token in ends:
                return "end of turn"
            yield token
    return "longest answer"


def _chooser(decoding: Decoding) -> Callable[[Tensor], Tensor]:
    """Return a function from logits `(1, vocabulary)` to the next token `(1, 1)`."""
    if decoding.temperature == 0:
        return lambda logits: logits.argmax(-1, keepdim=True)
    # one generator per stream: alternating streams draw the same as single ones
    random = torch.Generator().manual_seed(decoding.sampling_seed)
    warpers: list[Any] = [TemperatureLogitsWarper(float(decoding.temperature))]
    warpers += [TopPLogitsWarper(decoding.top_p)] if decoding.top_p < 1 else []

    def draw(logits: Tensor) -> Tensor:
        scores: Any = logits.cpu()
        for warper in warpers:
            scores = warper(None, scores)
        return torch.multinomial(scores.softmax(-1), 1, generator=random).to(logits.device)

    return draw


def _ends(model: Any, tokenizer: Any) -> set[int]:
    """Return the tokens that end a turn, as in `generate`."""
    config = getattr(model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    ends = tokenizer.eos_token_id if ends is None else ends
    return set(ends) if isinstance(ends, list) else {ends}
