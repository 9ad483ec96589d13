"""Extract from the packed runs what the lessons read of them.

    python data/extract_recordings.py        # a minute; writes qtha_lab/lessons/recorded/*.npz

Packs of today hold row losses only of runs behind a claim. Two recordings need all of them, and
read the pack of an earlier commit from git.

Losses of rows are stored in steps of 1/65535 of the largest, statistics of bottlenecks as float16.
`tests/lessons/test_recordings.py` repeats tables of `docs/results` from the extracts.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qtha_lab.studies.comparison.report.contents import Compared  # noqa: E402

from qtha_lab.core.io import digest, read_mapping  # noqa: E402
from qtha_lab.lessons.recordings import FOLDER, STATISTICS  # noqa: E402
from qtha_lab.runs.run import list_runs  # noqa: E402
from qtha_lab.studies.comparison.row_losses import read_items  # noqa: E402
from tools.measurements import PACKED, RESULTS, unpack  # noqa: E402
from tools.row_keys import add_keys  # noqa: E402

EARLIER = {"tiny-chat": "76a9b8f", "tiny-qa": "76a9b8f"}
NAMES = ("confirm-qa", "smollm2-definitions", "smollm2-qa", "tiny-chat", "tiny-qa")
LARGEST = 65535  # of uint16


def packed(name: str, place: Path) -> Path:
    """Return the pack of a comparison, from git where an earlier one is needed."""
    pack = RESULTS / name / PACKED
    if name not in EARLIER:
        return pack
    command = ["git", "-C", str(ROOT), "show", f"{EARLIER[name]}:{pack.relative_to(ROOT)}"]
    earlier = place / f"{name}.tar.xz"
    earlier.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return earlier


def extract(name: str, pack: Path, folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a comparison.

    Args:
        name: Name of the comparison.
        pack: Its packed runs.
        folder: Folder of the unpacked runs.
    """
    compared = Compared.of(folder)
    entries = sorted(
        compared.entries,
        key=lambda e: (compared.families.index(e["family"]), e["learning_rate"], e["seed"]),
    )
    add_keys(list_runs(folder / "runs"))
    items = read_items(compared.runs.values())
    recorded = read_mapping(compared.runs[entries[0]["run_id"]].files.test) or {}
    rows = np.stack([items[entry["run_id"]].losses for entry in entries])
    events = [list(compared.runs[entry["run_id"]].valid_events()) for entry in entries]
    curves = [[(e["step"], e["loss"]) for e in of if e["kind"] == "eval"] for of in events]
    tables = [
        (number, event["step"], event["layers"])
        for number, of in enumerate(events)
        for event in of
        if event["kind"] == "bottleneck"
    ]
    layers = list(tables[0][2]) if tables else []
    first = json.loads((compared.runs[entries[0]["run_id"]].path / "environment.json").read_text())
    about = {
        "name": name,
        "model": entries[0]["model"],
        "task": entries[0]["task"],
        "methods": compared.families,
        "layers": layers,
        "steps": [s for s, _ in curves[0]],
        "fingerprint": digest(pack),
        "commit": first["git"]["commit"],
        "key_name": recorded["key_name"],
    }
    step = rows.max() / LARGEST
    return {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "method": np.array([compared.families.index(e["family"]) for e in entries], np.uint8),
        "seed": column(entries, "seed", np.uint16),
        "trainable_parameters": column(entries, "trainable_parameters", np.uint32),
        **{
            key: column(entries, key, np.float64)
            for key in ("learning_rate", "train_loss", "eval_loss", "test_loss")
        },
        "rows": np.round(rows / step).astype(np.uint16),
        "rows_step": np.array(step),
        "keys": np.array(recorded["keys"], np.uint16),
        "labels": np.array(recorded["labels"], np.uint16),
        "curves": np.array([[loss for _, loss in curve] for curve in curves], np.float32),
        "bottleneck_runs": np.array([number for number, _, _ in tables], np.uint16),
        "bottleneck_steps": np.array([at for _, at, _ in tables], np.uint16),
        "bottlenecks": np.array(
            [
                [[of[layer].get(key) or 0.0 for key in STATISTICS] for layer in layers]
                for _, _, of in tables
            ],
            np.float16,
        ).reshape(len(tables), len(layers), len(STATISTICS)),
    }


def column(entries: list[dict[str, Any]], key: str, kind: type) -> np.ndarray:
    """Return one value per run."""
    return np.array([entry[key] for entry in entries], kind)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for name in NAMES:
            pack = packed(name, Path(place))
            unpack(pack, Path(place) / name)
            file = FOLDER / f"{name}.npz"
            np.savez_compressed(file, **extract(name, pack, Path(place) / name))
            print(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
