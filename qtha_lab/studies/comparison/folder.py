"""Reading of a comparison's folder: the description, and the tuned contenders of its summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtha_lab.core.io import read_mapping
from qtha_lab.experiment import Comparison
from qtha_lab.runs.run import Run

GROUP = "comparisons"
EARLIER_TRIAL_SEEDS = [1000]  # of folders that do not state them, written before 0.4.0


def described(file: Path) -> Comparison:
    """Read the `comparison.yaml` of a folder; an earlier one may lack the trial seeds."""
    comparison = Comparison.from_yaml(file, links=False)
    tuning = comparison.tuning
    if tuning is None or "seeds" in tuning.model_fields_set:
        return comparison
    return comparison.replace(tuning=tuning.replace(seeds=EARLIER_TRIAL_SEEDS))


def contender_records_of(run: Run) -> tuple[Path, list[dict[str, Any]]] | None:
    """Return the comparison's folder of a run with its tuned contenders; None without one.

    The contenders have their losses by trial seed. Records of another form, as of damaged or
    earlier summaries, are omitted.
    """
    runs_dir, name = run.path.parent, run.experiment.name
    shared = [runs_dir / GROUP / name] if name else []
    own = [runs_dir.parent] if runs_dir.name == "runs" else []
    for place in (*shared, *own):
        if (place / "comparison.yaml").is_file():
            records = (read_mapping(place / "summary.json") or {}).get("contenders")
            return place, list(filter(_is_tuned, records if isinstance(records, list) else []))
    return None


def _is_tuned(record: Any) -> bool:
    """Return True if a contender's record has its point and losses by seed."""
    if not isinstance(record, dict):
        return False
    texts = [record.get(name) for name in ("model", "task", "declared", "method")]
    dicts = [record.get(name) for name in ("task_options", "point", "tried")]
    if not all(isinstance(each, str) for each in texts):
        return False
    return all(isinstance(each, dict) for each in dicts) and all(
        isinstance(losses, list) and all(isinstance(loss, int | float) for loss in losses)
        for losses in record["tried"].values()
    )
