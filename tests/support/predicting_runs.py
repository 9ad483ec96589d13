"""Short runs on small tables of every kind of output, for tests of predictions; no test."""

import json
from pathlib import Path

from qtha_lab.experiment import Experiment

ROWS = {
    "classes": [{"review": f"review {i}", "label": ["bad", "good"][i % 2]} for i in range(60)],
    "ordered": [{"text": f"text {i} {'x' * (i % 5)}", "stars": 1 + i % 5} for i in range(60)],
    "numbers": [{"text": f"house {i}", "score": round(100 + 3.7 * i, 3)} for i in range(60)],
    "pairs": [
        {"premise": f"text {i}", "hypothesis": f"it is {i % 3}", "label": "abc"[i % 3]}
        for i in range(60)
    ],
    "answers": [{"question": f"How much is {i}?", "answer": f"It is {i}."} for i in range(60)],
    "plain": [{"text": f"A line about the number {i} and others."} for i in range(60)],
}
TARGETS = ("label", "stars", "score", "answer")
INPUTS = {
    "classes": "A text.",
    "ordered": "A text.",
    "numbers": "A text.",
    "pairs": ("A text.", "Another text."),
    "answers": "A question?",
}
TRAINING = {
    "steps": 3,
    "batch_size": 4,
    "max_length": 48,
    "eval_rows": 4,
    "test_rows": 4,
    "checkpoint_every": 2,
    "max_new_tokens": 8,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


def table(folder: Path, kind: str) -> Path:
    """Write the rows of a kind as JSON Lines."""
    path = folder / f"{kind}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[kind]))
    return path


def experiment(folder: Path, kind: str, model: str = "tiny", **settings) -> Experiment:
    """Return a short experiment on the rows of a kind."""
    settings = {"method": "lora(r=2,learning_rate=0.01)"} | settings
    return Experiment(
        model=str(model), task=str(table(folder, kind)), training=TRAINING, **settings
    )


def usage_code(card: str) -> str:
    """Return the code of a card's section on predictions."""
    return card.split("## Predictions")[1].split("```python\n")[1].split("```")[0]
