"""Draw the figures of README.md from the recorded runs:

python data/screenshots/figures.py        # needs Chromium; writes three SVGs beside this file
"""

from pathlib import Path

from qtha_lab.figures.machinery.export import export
from qtha_lab.figures.machinery.provenance import Origin
from qtha_lab.studies.comparison import run_data as reading
from qtha_lab.studies.comparison.figure_set import figure_set

HERE = Path(__file__).resolve().parent
NAMES = {"loss_curves": "loss_curves", "seeds_": "seeds", "circuit_qtha": "circuit"}


def main() -> None:
    """Write each figure under its short name."""
    runs = reading.find_runs([HERE.parent / "runs"])
    origin = Origin(runs=[run.id for run in runs], commits=reading.commits(runs))
    for figure in figure_set(runs):
        for start, name in NAMES.items():
            if figure.name.startswith(start):
                print(export(figure, HERE / f"{name}.svg", target="two-column", origin=origin))
                print(f"  {figure.alt}")


if __name__ == "__main__":
    main()
