"""The time of an answer, method against method, alternately in one process.

All methods share one copy of the frozen base weights and write the same number of tokens, greedily, with
a cache of keys and values. Prompts are random ids; quality is not measured here.
"""

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.machine import conditions
from benchmarks.turns import adapted_models, measured, take_turns, timed
from qtha_lab.experiment import MethodChoice


def bench_generate(
    model: str,
    methods: Iterable[MethodChoice],
    *,
    batch_size: int = 1,
    prompt: int = 16,
    tokens: int = 32,
    rounds: int = 9,
    clock: str = "wall",
    on_round: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Measure `generate` of every method, taking turns.

    Args:
        model: Name of the base.
        methods: The first one is the reference of the ratios.
        batch_size: Answers at once.
        prompt: Tokens that are read.
        tokens: Tokens that are written.
        rounds: Counted turns of each method; one more goes before as a warm-up.
        clock: As for `take_turns`.
        on_round: Called with the turns done and their number.

    Returns:
        `machine`, `commit`, `settings`, and under `methods` one entry each: `label`, `seconds` (median of an
        answer), `seconds_all` and `time_ratio` (median of the ratios within a round).
    """
    import torch

    before, choices = conditions(), list(methods)
    models = [adapted.eval() for adapted in adapted_models(model, choices)]
    ids = torch.randint(10, models[0].config.vocab_size, (batch_size, prompt))
    mask = torch.ones_like(ids)

    def answer(adapted) -> None:
        adapted.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens,
            do_sample=False, pad_token_id=0,
        )  # fmt: skip

    works = [lambda adapted=adapted: answer(adapted) for adapted in models]
    seconds = take_turns(works, rounds, on_round, clock)
    settings = {
        "model": model, "batch_size": batch_size, "prompt": prompt, "tokens": tokens,
        "rounds": rounds, "clock": clock,
    }  # fmt: skip
    entries = [
        {"label": choice.label, **timed(of_method, seconds[0])}
        for choice, of_method in zip(choices, seconds, strict=True)
    ]
    return measured(before, "generate", "answer", settings, entries)
