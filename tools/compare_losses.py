"""Compare training losses of two checkouts, bit by bit: `compare_losses.py OLD NEW [STEPS]`.

Trains LoRA and QTHA with three seeds each on one thread, as in data/runs but with every option
written out, since defaults differ between versions, and the first seed of the methods of three
recorded comparisons. Prints a table; exits 1 if a loss differs.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

METHODS: dict[str, dict[str, int]] = {
    "lora": {"r": 1, "lora_alpha": 2},
    "qtha": {"r": 4, "waist": 32, "bond_dim": 2, "n_layers": 2},
}
SEEDS = (0, 1, 2)
RECORDED = ("confirm-qa", "tiny-definitions", "minilm-supersense")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def experiments(old: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a name and an experiment that every version reads."""
    for name, options in METHODS.items():
        method = {"name": name, "learning_rate": 0.01, "options": options}
        for seed in SEEDS:
            yield (
                f"{name}, seed {seed}",
                {"model": "tiny", "task": "qa", "seed": seed, "method": method},
            )
    for name in RECORDED:
        text = (old / "data" / "measurements" / f"{name}.yaml").read_text(encoding="utf-8")
        of = yaml.safe_load(text)
        for method in of["methods"]:
            common = {key: of[key] for key in ("model", "task")}
            yield f"{name}: {method}", common | {"seed": of["seeds"][0], "method": method}


def losses(checkout: Path, experiment: dict[str, Any], steps: int) -> list[float]:
    """Train in a checkout, and return the loss of every step."""
    training = dict.fromkeys(("steps", "eval_every", "checkpoint_every"), steps)
    training |= {"generate_rows": 0, "eval_rows": 16, "test_rows": 16, "threads": 1}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "experiment.yaml"
        file.write_text(yaml.safe_dump(experiment | {"training": training}), encoding="utf-8")
        command = [sys.executable, "-c", "from qtha_lab.cli import main; main()"]
        command += ["run", str(file), "--out", f"{folder}/runs", "--json"]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(checkout)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        (events,) = Path(folder).rglob("events.jsonl")
        rows = map(json.loads, events.read_text(encoding="utf-8").splitlines())
        return [row["loss"] for row in rows if row["kind"] == "train"]


def main() -> None:
    """Print a row per experiment."""
    old, new = (Path(word).resolve() for word in sys.argv[1:3])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    all_equal = True
    print("| experiment | steps | last loss | bit-identical |\n|---|---:|---:|---|")
    for name, experiment in experiments(old):
        before, after = (losses(checkout, experiment, steps) for checkout in (old, new))
        assert after, name
        all_equal &= before == after
        answer = "yes" if before == after else f"no: {before[-1]!r}"
        print(f"| {name} | {len(after)} | {after[-1]!r} | {answer} |", flush=True)
    sys.exit(not all_equal)


if __name__ == "__main__":
    main()
