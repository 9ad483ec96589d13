"""Try one action and classify its outcome: a value, one sentence, or a fault.

A sentence is a refusal of at most 300 printable characters. Everything else is a fault.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core import fault_log
from qtha_lab.core.errors import message_of

LONGEST = 300
CPU_SECONDS, GROWTH_MIB = 2.0, 256.0
HARD_MIB = 1024
"""Address space that a case may add before the system refuses more."""
BLAME = "fault of qtha-lab"
BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{BIDI}]")
BOX = re.compile(r"[─-╿\s]+")


@dataclass(frozen=True)
class Outcome:
    """Result of a case.

    Attributes:
        kind: "value", "sentence" or "fault".
        text: The sentence or the traceback.
        seconds: CPU time.
        mib: Growth of the memory.
        data: The input of a fault in base64, where there is one.
    """

    kind: str
    text: str = ""
    seconds: float = 0.0
    mib: float = 0.0
    data: str = ""

    @property
    def is_fault(self) -> bool:
        return self.kind == "fault"


def attempt(
    action: Callable[[], Any], *, once: bool = False, limit: float = CPU_SECONDS
) -> Outcome:
    """Run an action and classify its end.

    Args:
        action: Run a second time where the first was too slow or too large, since imports count
            once.
        once: Run it once, whatever it takes.
        limit: CPU seconds allowed.
    """
    outcome = _once(action, limit)
    if once:
        return outcome
    if not outcome.is_fault and _excess(outcome, limit):
        outcome = _once(action, limit)
    if not outcome.is_fault and (excess := _excess(outcome, limit)):
        return Outcome("fault", f"{excess}\n{outcome.text}", outcome.seconds, outcome.mib)
    return outcome


def flaw(sentence: str) -> str | None:
    """Name what is wrong with a sentence for a person; None for a good one."""
    if BLAME in sentence or "Traceback (most recent call last)" in sentence:
        return "bad input is reported as a fault of qtha-lab"
    if CONTROL.search(sentence) or "\n" in sentence:
        return "control characters in a sentence"
    if len(sentence) > LONGEST:
        return f"a sentence of {len(sentence)} characters"
    return None


def flaw_of_output(output: str, errors: str) -> str | None:
    """Name what is wrong with what a command printed; None for a good output."""
    if BLAME in errors or "Traceback (most recent call last)" in errors:
        return "bad input is reported as a fault of qtha-lab"
    if CONTROL.search(output + errors):
        return "control characters are printed"
    told = BOX.sub(" ", re.sub(r"(?m)^.*(Usage:|Try '|Try ).*$", "", errors)).strip()
    return f"an error of {len(told)} characters" if len(told) > LONGEST + len("error: ") else None


def command(*arguments: str) -> None:
    """Do what `qtha-lab ARGUMENTS` does, in this process."""
    from qtha_lab import cli

    sys.argv = ["qtha-lab", *arguments]
    with contextlib.suppress(SystemExit):
        cli.main()


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    """Refuse the block more than `HARD_MIB` of new address space."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    size = _pages(0) * resource.getpagesize() + HARD_MIB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


class Overdue(BaseException):
    """Raised into a case that sleeps, or that computes for twice the limit."""


@contextlib.contextmanager
def _deadline(limit: float) -> Iterator[list[str]]:
    """Raise `Overdue` into the block once; the list then holds the reason, even if the block went
    on.

    Computing for too long is seen here; whoever watches from outside sends SIGUSR1 to a block that
    sleeps.
    """
    reasons: list[str] = []
    cpu = time.process_time()

    def check(number: int, frame: Any) -> None:
        used = time.process_time() - cpu
        waits = number == signal.SIGUSR1
        if not reasons and (waits or used > 2 * limit):
            reasons.append(
                "hangs: waits without computing" if waits else f"hangs: {used:.1f} CPU s"
            )
            raise Overdue(reasons[0])

    signal.signal(signal.SIGUSR1, check)
    signal.signal(signal.SIGPROF, check)
    signal.setitimer(signal.ITIMER_PROF, 2 * limit, 0.5)
    try:
        yield reasons
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _once(action: Callable[[], Any], limit: float) -> Outcome:
    before, begin = _reset_peak(), time.process_time()
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    kind, text, late = "value", "", []
    try:
        with (
            _limited_memory(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _deadline(limit) as late,
        ):
            action()
        printed, told = (s.buffer.getvalue().decode() for s in (out, err))  # type: ignore[attr-defined]
        if wrong := flaw_of_output(printed, told):
            kind, text = "fault", f"{wrong}\n{told[:2000]}\n{printed[:2000]}"
        elif told:
            kind, text = "sentence", told[:LONGEST]
    except BaseException as error:
        kind, text = _of_error(error)
    if late:
        kind, text = "fault", f"{late[0]}\n{text}"
    seconds = time.process_time() - begin
    return Outcome(kind, text, seconds, max(0.0, (_peak() - before) / 2**20))


def _of_error(error: BaseException) -> tuple[str, str]:
    """The class and the text of an exception that reached the caller."""
    try:
        refusal = fault_log.is_refusal(error)
        sentence = fault_log.fault_sentence(error) if refusal else ""
    except BaseException as second:
        return "fault", f"no sentence: {second!r}\n{traceback.format_exc()[-4000:]}"
    wrong = flaw(sentence) or _cut(sentence, error) if refusal else "no refusal"
    if wrong is None:
        return "sentence", sentence
    lines = "".join(traceback.format_exception(error, limit=-12))
    return "fault", f"{wrong}: {type(error).__name__}\n{lines[-6000:]}"


def _cut(sentence: str, error: BaseException) -> str | None:
    """Name a refusal that was cut before its remedy; a list of known names stands last."""
    length = len(message_of(error, 2**16))
    is_cut = sentence.endswith("…") and length > LONGEST and " Known: " not in sentence
    return f"a sentence of {length} characters" if is_cut else None


def _excess(outcome: Outcome, limit: float) -> str | None:
    if outcome.seconds > limit:
        return f"too much time: {outcome.seconds:.1f} CPU s"
    return f"too much memory: {outcome.mib:.0f} MiB" if outcome.mib > GROWTH_MIB else None


def _reset_peak() -> int:
    """Start a new measurement of the peak; bytes resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _pages(1) * resource.getpagesize()


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]


def _pages(column: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[column])


def enter_folder(folder: Path) -> None:
    """Give this process a home, a runs folder and a cache of its own, and leave nothing to collect."""
    for name, variable in (
        ("runs", "QTHA_LAB_RUNS"),
        ("cache", "QTHA_LAB_CACHE"),
        ("home", "HOME"),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.environ[variable] = str(folder / name)
    os.chdir(folder)
    gc.freeze()


def commit() -> str:
    """The hash of the commit at hand; zeros where there is none."""
    words = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parent)
    return found.stdout.strip() or "0" * 40
