"""Print the modules and processes between a launch and its first optimiser step.

    python -m tools.launch_path

The path of a process is the modules of its call stack when it hands over: where it starts the
scheduler process, where the scheduler process forks the worker, and at the first optimiser step.
The number beside it is that of modules with an executed function, also one that returned before or
was called by an import.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
OURS = (f"{ROOT}/qtha_lab/", f"{ROOT}/widgets/")
MOST_MODULES, MOST_PROCESSES = 25, 2  # beside the process of the user
PATIENCE = 600.0  # seconds


class Watch:
    """Profile function of one process, which records the modules of executed functions.

    Args:
        folder: Folder in which each process writes its record.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.called, self.order = folder, set(), 0
        os.register_at_fork(after_in_child=self.called.clear)
        sys.setprofile(self)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and getattr(argument, "__name__", "") == "fork":
            self.write(frame)
        elif event == "call":
            file, name = frame.f_code.co_filename, frame.f_code.co_name
            if file.startswith(OURS) and name != "<module>":
                self.called.add(file)
            elif name == "__init__" and file.endswith("/subprocess.py"):
                if "qtha_lab" in str(frame.f_locals.get("args")):
                    self.write(frame)
            elif name == "step" and "/torch/optim/" in file and "lr_scheduler" not in file:
                self.write(frame)
                sys.setprofile(None)

    def write(self, frame: FrameType | None) -> None:
        """Write the modules of the call stack, the outermost first."""
        path: list[str] = []
        while frame is not None:
            if frame.f_code.co_filename.startswith(OURS):
                path.insert(0, frame.f_code.co_filename)
            frame = frame.f_back
        record = {"path": list(dict.fromkeys(path)), "called": len(self.called)}
        file = self.folder / f"{os.getpid()}.json"
        if not file.exists():  # the first hand-over counts
            file.write_text(json.dumps(record))


def main() -> int:
    """Launch a comparison of one run, and print one line per module; 1 above a limit."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "sitecustomize.py").write_text(
            f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
            f"from tools.launch_path import Watch\nWatch(Path({place!r}))\n"
        )
        os.environ["PYTHONPATH"] = os.pathsep.join([place, os.environ.get("PYTHONPATH", "")])
        from qtha_lab import Comparison

        described = Comparison(methods="lora", steps=1, generate_rows=0, spectrum_every=0)
        Watch(folder)
        study = described.run(folder / "runs")
        sys.setprofile(None)
        study.wait(PATIENCE)
        files = sorted(folder.glob("*.json"), key=os.path.getmtime)
        records = [json.loads(file.read_text()) for file in files]
    modules = dict.fromkeys(name for record in records for name in record["path"])
    for number, record in enumerate(records):
        print(
            f"process {number}: {record['called']} modules with an executed function, on the path:"
        )
        for name in record["path"]:
            print(f"  {Path(name).relative_to(ROOT)}")
    print(f"{len(modules)} modules on the path, {len(records) - 1} processes beside the user's")
    return int(len(modules) > MOST_MODULES or len(records) - 1 > MOST_PROCESSES)


if __name__ == "__main__":
    sys.exit(main())
