"""A folder as `qtha-lab compare` leaves it, made without training."""

import numpy as np

from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.studies.comparison.run_comparison import summarise_runs
from support.run_folders import finish, run_folder, write

WHOLE = "qtha(r=4,waist=16,bond_dim=3)"
METHODS = [
    "lora(r=2)",
    "lora(r=8)",
    WHOLE,
    f"{WHOLE[:-1]},stand_in=bias)",
    f"{WHOLE[:-1]},use_circuit=false)",
]
ENVIRONMENT = {
    "python": "3.11.7",
    "packages": {"torch": "2.13.0"},
    "git": {"commit": "abc123", "dirty": False},
    "model": {"name": "tiny", "fingerprint": "e106fba2"},
    "task": {"name": "qa", "fingerprint": "ecea28ea"},
}


def compared(folder, methods=tuple(METHODS), seeds=(0, 1, 2), rates=(0.003, 0.01, 0.03), **fields):
    """A folder as `compare` leaves it, with numbers that were made up.

    Losses are least at a rate of 0.01.
    """
    comparison = Comparison(
        methods=list(methods), seeds=list(seeds), learning_rates=list(rates), **fields
    )
    runs = []
    for number, experiment in enumerate(comparison.experiments()):
        choice, place = experiment.method, comparison.scaled_methods()
        order = [c.label for c in place].index(choice.replace(learning_rate=None).label)
        loss = 4.1 + 0.03 * order + abs(np.log10((choice.learning_rate or 0.01) / 0.01)) / 4
        loss += 0.004 * np.random.default_rng(number).standard_normal()
        run = run_folder(folder / "runs", method=choice.label, seed=experiment.seed)
        write_json(run.files.environment, ENVIRONMENT)
        if choice.name == "qtha" and choice.options.get("use_circuit") is not False:
            for step in (0, 100):
                layers = {
                    f"layers.{block}.q_proj": {
                        "block": block,
                        "angle_std": 1.1 + block / 9 + step / 300,
                        "beyond_pi": 0.02,
                        "constant_part": 0.2,
                        "affine_part": 0.9 - step / 1000,
                        "branch_power": 0.3 / (1 + block),
                    }
                    for block in range(4)
                }
                write(run, {"kind": "bottleneck", "step": step, "layers": layers})
        rows = loss + 0.05 + np.sin(np.arange(12))
        write_json(
            run.files.test,
            {"items": [f"row {n}" for n in range(12)], "losses": rows.tolist(), "labels": [1] * 12},
        )
        finish(
            run,
            eval_loss=loss,
            eval_loss_start=6.3,
            test_loss=float(rows.mean()),
            train_loss=loss - 0.2,
            trainable_parameters=7680 - 500 * order,
            seconds_per_step=0.2 + order / 10,
            peak_memory_bytes=2**28,
            adapter_bytes=2**15,
        )
        runs.append(run)
    (folder / "comparison.yaml").write_text(comparison.to_yaml())
    write_json(folder / "summary.json", summarise_runs(comparison, runs))
    return folder
