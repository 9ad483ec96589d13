"""Run the small comparison behind `make plot`, and keep in runs/ what figures and tables read of
it.

    python data/record_runs.py        # about five minutes on two cores

Left out: checkpoints, adapters, logs, and where on which machine the runs lay.
"""

import json
import shutil
import tempfile
from pathlib import Path

from qtha_lab import compare
from qtha_lab.experiment import Comparison
from qtha_lab.runs.run import Run, list_runs

HERE = Path(__file__).resolve().parent / "runs"
COMPARISON = Comparison(
    model="tiny",
    task="qa",
    methods="lora(r=1,learning_rate=0.01),qtha(learning_rate=0.01)",
    seeds=[0, 1, 2],
    training={"steps": 40, "eval_every": 10, "checkpoint_every": 40},
)
PRIVATE = ("run_dir", "platform")


def keep(run: Run, folder: Path) -> None:
    """Copy the description, the events, the summary and the versions of a run."""
    folder.mkdir(parents=True)
    for name in ("experiment.yaml", "events.jsonl"):
        shutil.copy(run.path / name, folder / name)
    for name in ("summary.json", "environment.json"):
        record = json.loads((run.path / name).read_text(encoding="utf-8"))
        public = {key: value for key, value in record.items() if key not in PRIVATE}
        text = json.dumps(public, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Make the runs anew in a folder that is thrown away, then replace the recorded ones."""
    with tempfile.TemporaryDirectory() as place:
        summary = compare.run(COMPARISON, place)
        if any(entry["state"] != "finished" for entry in summary["runs"]):
            raise SystemExit(f"not recorded: {summary['notes']}")
        shutil.rmtree(HERE, ignore_errors=True)
        for run in list_runs(Path(place) / "runs"):
            keep(run, HERE / run.id)
    print("\n".join(summary["notes"]))


if __name__ == "__main__":
    main()
