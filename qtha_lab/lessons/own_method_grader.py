"""Grader of a reader's own method, by the contract of plugins."""

import functools
import logging
import subprocess
import sys
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, scratch_folder, write_atomically
from qtha_lab.lessons.object_graders import Construction

log = logging.getLogger(__name__)
FILE = "own_method.py"
MOST_CHARACTERS = 20_000
START = "nothing changes at the start"
COUNT = "the number of trained parameters equals its formula"
GRADIENTS = "gradients reach every trained tensor and none of the base"
MERGED = "merged equals unmerged if is_linear is True"
ZERO = "a change declared linear is zero for an input of zeros"
NAMED = (START, COUNT, GRADIENTS, MERGED, ZERO)


@functools.lru_cache(maxsize=64)
def broken_facts(text: str) -> tuple[str, ...] | None:
    """Return the broken facts of a method's contract; None without a method.

    A process of its own runs the check, so the file leaves nothing behind in this one.
    """
    with scratch_folder(prefix="qtha-lab-method-") as folder:
        write_atomically(Path(folder) / FILE, text)
        command = [sys.executable, "-m", "qtha_lab", "check-plugin", FILE, "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    try:
        results = parse_json(done.stdout)
    except Refusal as refused:
        log.debug("no contract was checked: %s", refused)
        return None
    if {result["kind"] for result in results} != {"method"}:
        return None
    return tuple(result["fact"] for result in results if not result["holds"])


def own_method() -> Construction:
    """Return the grader: a text that is a method, and keeps the contract."""

    def is_method(text: str) -> bool:
        return 0 < len(text) < MOST_CHARACTERS and broken_facts(text) is not None

    def keeps(*facts: str):
        return lambda text: not set(facts) & set(broken_facts(text) or ())

    return Construction(
        (
            (
                is_method,
                "the text of a file that registers one method is expected",
            ),
            (keeps(START), "the method changes the model before its first step: start at zero"),
            (keeps(COUNT), "n_parameters gives another number than is trained"),
            (keeps(GRADIENTS), "a trained tensor has no gradient, or a frozen one has"),
            (keeps(MERGED, ZERO), "the change is declared linear, but it is no matrix times x"),
            (
                lambda text: not broken_facts(text),
                "a rule of the contract is broken: qtha-lab check-plugin FILE names it",
            ),
        )
    )
