"""Fine-tuning experiment shared by reproductions on a language model.

Model `tiny`, task `qa`, at most a minute.
"""

from __future__ import annotations

from typing import Any

from qtha_lab.experiment import Experiment

DATA = "tiny on qa (128 test rows)"
FULL: dict[str, Any] = {"steps": 100}
QUICK: dict[str, Any] = {"steps": 6, "train_rows": 48, "eval_rows": 8, "test_rows": 16}
SHARED: dict[str, Any] = {
    "generate_rows": 0,
    "spectrum_every": 0,
    "eval_every": 25,
    "checkpoint_every": 50,
}


def on_qa(method: str, seed: int, quick: bool, **training: Any) -> Experiment:
    """Return the experiment of fine-tuning `tiny` on `qa`.

    Args:
        method: Method with its options.
        seed: Seed of the initial weights and of the order of rows.
        quick: Use the quick form.
        **training: Other training settings.

    Example:
        >>> on_qa("lora(r=1)", 2, quick=True).training.steps
        6
    """
    form = QUICK if quick else FULL
    return Experiment(
        model="tiny", task="qa", method=method, seed=seed, training=SHARED | form | training
    )
