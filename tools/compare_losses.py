"""Compare training losses of two checkouts, bit by bit: `compare_losses.py OLD NEW [STEPS]`.

Trains LoRA and QTHA with three seeds each on one thread, as in data/runs but with every option
written out, since defaults differ between versions. Prints a table; exits 1 if a loss differs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

METHODS = {
    "lora": "  options: {r: 1, lora_alpha: 2}\n",
    "qtha": "  options: {r: 4, waist: 32, bond_dim: 2, n_layers: 2}\n",
}
SEEDS = (0, 1, 2)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def experiment(method: str, seed: int, steps: int) -> str:
    """Return an experiment file that every version reads."""
    return (
        f"model: tiny\ntask: qa\nseed: {seed}\n"
        f"method:\n  name: {method}\n  learning_rate: 0.01\n{METHODS[method]}"
        f"training:\n  steps: {steps}\n  eval_every: {steps}\n  checkpoint_every: {steps}\n"
    )


def losses(checkout: Path, text: str) -> list[float]:
    """Train in a checkout, and return the loss of every step."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "experiment.yaml"
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", "from qtha_lab.cli import main; main()"]
        command += ["run", str(file), "--out", f"{folder}/runs", "--json"]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(checkout)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        (events,) = Path(folder).rglob("events.jsonl")
        rows = map(json.loads, events.read_text(encoding="utf-8").splitlines())
        return [row["loss"] for row in rows if row["kind"] == "train"]


def main() -> None:
    """Print a row per method and seed."""
    old, new = map(Path, sys.argv[1:3])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    all_equal = True
    print("| method | seed | steps | last loss | bit-identical |\n|---|---:|---:|---:|---|")
    for method in METHODS:
        for seed in SEEDS:
            text = experiment(method, seed, steps)
            before, after = (losses(checkout.resolve(), text) for checkout in (old, new))
            all_equal &= before == after
            answer = "yes" if before == after else "no"
            print(f"| {method} | {seed} | {len(after)} | {after[-1]!r} | {answer} |", flush=True)
    sys.exit(not all_equal)


if __name__ == "__main__":
    main()
