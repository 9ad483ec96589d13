"""What an evaluation and a training step cost, against the same with every logit of rows as they come.

Both ways share one model and the same rows, and take turns in one process; their losses must agree.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import pipes

TOLERANCE = 1e-5  # of losses, relative: float32 sums in another order


def bench_evaluation(
    model: str,
    task: str,
    *,
    rows: int = 128,
    batch_size: int = 8,
    rounds: int = 5,
    on_round: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Measure both ways, alternately.

    Args:
        model: The base model; on it stands LoRA's adapter, which trains.
        task: Whose evaluation rows are scored, and trained on in the step.
        rows: Of the task.
        batch_size: Rows in a batch.
        rounds: Counted turns of each way; one more goes before as a warm-up.

    Returns:
        `machine`, `commit`, `settings`, `tokens` (real, padded in order, padded by length, answers), and under
        `cases` one entry each: `label`, `seconds` and `plain_seconds` (medians), `ratio` (median of the
        ratios within a round) and `loss_difference` (relative).

    Raises:
        ArithmeticError: If losses differ by more than rounding.
    """
    from qtha_lab import adapters, models, tasks

    before = conditions()
    data = tasks.load_task(task, eval_rows=rows)
    head = {} if data.kind == "lm" else {"head": "classification", "n_labels": len(data.labels)}
    base = models.load_model(model, **head)
    encoded = data.encode(data.eval, base.tokenizer, 128)
    collate = tasks.collate(base.tokenizer)
    config = adapters.get_method("lora").make_config(
        task_type="CAUSAL_LM" if data.kind == "lm" else "SEQ_CLS",
        target_modules=models.default_target_modules(model),
    )
    adapted = adapters.add_adapter(base.model, config)
    cases = {"evaluation": _evaluations(adapted, encoded, collate, batch_size)}
    if data.kind == "lm":
        cases["training step"] = _steps(adapted, encoded, collate, batch_size)
    measured = []
    for number, (label, ways) in enumerate(cases.items()):
        turns = []
        for done in range(rounds + 1):
            turns.append([_timed(way) for way in ways])
            on_round(number * (rounds + 1) + done, len(cases) * (rounds + 1) - 1)
        measured.append(_case(label, turns[1:]))
    return {
        "benchmark": "evaluation",
        **before,
        "settings": {
            "model": model, "task": task, "rows": rows, "batch_size": batch_size, "rounds": rounds
        },
        "tokens": _tokens(encoded, batch_size),
        "cases": measured,
    }  # fmt: skip


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text: both ways, how many times one is as fast as the other, and by how much their losses differ."""
    body = [
        (
            case["label"],
            f"{case['plain_seconds'] * 1000:,.0f}",
            f"{case['seconds'] * 1000:,.0f}",
            f"{case['ratio']:.2f}",
            f"{case['loss_difference']:.0e}",
        )
        for case in figures["cases"]
    ]
    return [("what", "ms, in order", "ms", "times faster", "losses differ by"), *body]


def caption(figures: dict[str, Any]) -> str:
    """What the table holds, and of how many tokens."""
    of, tokens, facts = figures["settings"], figures["tokens"], figures["machine"]
    return (
        f"{of['task']} on {of['model']}, {of['rows']} rows, {tokens['real']:,} tokens: {tokens['padded_in_order']:,} with "
        f"padding in order, {tokens['padded_by_length']:,} by length; {tokens['labels']:,} labels; medians of "
        f"{of['rounds']} rounds, {facts['processor']}, {facts['torch_threads']} threads"
    )


def markdown(figures: dict[str, Any]) -> str:
    """The caption and the table for a page."""
    return f"{caption(figures)}\n\n{pipes(table(figures))}\n"


def _evaluations(model, rows: list[dict], collate, size: int) -> tuple[Callable, Callable]:
    from qtha_lab.training import evaluation

    writes = isinstance(rows[0]["labels"], list)
    score = evaluation.evaluate_lm if writes else evaluation.evaluate_classification

    def plain() -> float:
        with evaluation.evaluating(model):
            return _plain_loss(model, rows, collate, size)

    def ours() -> float:
        with evaluation.evaluating(model):
            return score(model, rows, collate, size, lambda: None)["loss"]

    return plain, ours


def _plain_loss(model, rows: list[dict], collate, size: int) -> float:
    """The mean loss over all labels, of rows in their order, every logit computed."""
    from torch.nn import functional

    loss, count = 0.0, 0
    for part in _slices(rows, size):
        batch = collate(part)
        labels, logits = batch.pop("labels"), model(**batch).logits
        if labels.dim() > 1:
            labels, logits = labels[:, 1:], logits[:, :-1]
        known = labels != -100
        loss += functional.cross_entropy(
            logits[known].float(), labels[known], reduction="sum"
        ).item()
        count += int(known.sum())
    return loss / count


def _steps(model, rows: list[dict], collate, size: int) -> tuple[Callable, Callable]:
    import torch
    from transformers import Trainer, TrainingArguments

    from qtha_lab.training.trainer import FineTuner

    arguments = TrainingArguments(tempfile.mkdtemp(), use_cpu=True, report_to=[])
    batches = [collate(part) for part in list(_slices(rows, size))[:4]]

    def steps(trainer) -> float:
        model.train()
        losses = []
        for batch in batches:
            _, count = trainer.get_batch_samples(iter([batch]), 1, torch.device("cpu"))
            losses.append(float(trainer.training_step(model, dict(batch), count)))
            model.zero_grad()
        return statistics.fmean(losses)

    plain = Trainer(model=model, args=arguments)
    ours = FineTuner(model=model, args=arguments, head_learning_rate=None)
    return lambda: steps(plain), lambda: steps(ours)


def _timed(way: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    loss = way()
    return time.perf_counter() - start, loss


def _case(label: str, turns: list[list[tuple[float, float]]]) -> dict[str, Any]:
    (_, plain), (_, ours) = turns[0]
    difference = abs(ours / plain - 1)
    if difference > TOLERANCE:
        raise ArithmeticError(f"{label}: losses {plain} and {ours} differ by {difference:.1e}")
    return {
        "label": label,
        "plain_seconds": statistics.median(before for (before, _), _ in turns),
        "seconds": statistics.median(after for _, (after, _) in turns),
        "ratio": statistics.median(before / after for (before, _), (after, _) in turns),
        "loss_difference": difference,
    }


def _tokens(rows: list[dict], size: int) -> dict[str, int]:
    from qtha_lab.training.batching import by_length

    lengths = [len(row["input_ids"]) for row in rows]
    labels = [row["labels"] for row in rows]
    return {
        "real": sum(lengths),
        "padded_in_order": sum(len(part) * max(part) for part in _slices(lengths, size)),
        "padded_by_length": sum(
            len(part) * max(lengths[row] for row in part) for part in by_length(lengths, size)
        ),
        "labels": sum(
            sum(n != -100 for n in row) if isinstance(row, list) else 1 for row in labels
        ),
    }


def _slices(values: list, size: int) -> Iterator[list]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
