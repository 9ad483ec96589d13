"""The first cell of a notebook on Colab, replayed in a fresh environment with the wheel."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qtha_lab.lessons.kit.assignment import online_page
from qtha_lab.lessons.kit.lesson_page import lesson_pages

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_first_cell_installs_all_that_a_lesson_imports_and_then_says_so(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    page = online_page(lesson_pages((3,))[0], source=f"{wheel}[lab]")
    cell = re.sub(
        r"%pip (.*)",
        r"import shlex, subprocess, sys; subprocess.run([sys.executable, '-m', 'pip', *shlex.split(r'\1')], check=True)",
        page.cells[1].source,
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["QTHA_LAB_CACHE"] = str(tmp_path / "cache")

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(python), *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-c", cell).splitlines()[-1] == "qtha-lab is installed."
    assert run("-c", cell) == "qtha-lab is installed.\n"
    checked = run("-m", "qtha_lab", "course", "check", "--minutes", "0")
    assert "12_to_a_paper" in checked
    assert "needs the package" not in checked
