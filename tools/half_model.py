"""Half of SmolLM2-135M as a second base model: 15 of its 30 blocks, trained on definitions.

    python -m tools.half_model FOLDER

The first five and last ten blocks are kept, since every second block alone predicts worse than a
uniform guess. All weights of the linear layers are then trained.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from torch import nn

from qtha_lab import Experiment, launch, load_model
from qtha_lab.core.io import show
from qtha_lab.reproductions.prequant import LINEAR
from qtha_lab.runs.export import export_run

BASE = "smollm2-135m"
KEPT = (*range(5), *range(20, 30))
STEPS, RATE = 600, 5e-4


def save_cut(folder: Path) -> None:
    """Save the kept blocks as a model folder."""
    model, tokenizer = load_model(BASE)
    blocks = [model.model.layers[index] for index in KEPT]
    for index, block in enumerate(blocks):
        block.self_attn.layer_idx = index
    model.model.layers = nn.ModuleList(blocks)
    model.config.num_hidden_layers = len(blocks)
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[: len(blocks)]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(cut: Path, runs: Path) -> Path:
    """Train all linear layers of the cut model, and return the folder of the merged model."""
    experiment = Experiment(
        model=str(cut),
        task="definitions",
        method=f"prequant(fraction=1,learning_rate={RATE:g})",
        training={"steps": STEPS, "batch_size": 8, "eval_every": 100, "generate_rows": 0},
    )
    experiment = experiment.replace(
        method=experiment.method.replace(target_modules=list(LINEAR)),
    )
    run = launch(experiment, runs)
    run.wait()
    summary = run.summary or {}
    show(f"evaluation loss {summary['eval_loss_start']:.3f} before, {summary['eval_loss']:.3f} now")
    return Path(export_run(run, "merged", runs / "merged").path)


def main() -> int:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Write a base model of 15 blocks of SmolLM2.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if folder.exists():
        parser.error(f"The folder must be new, got {folder}.")
    with tempfile.TemporaryDirectory() as temporary:
        save_cut(Path(temporary) / "cut")
        shutil.move(train(Path(temporary) / "cut", Path(temporary)), folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
