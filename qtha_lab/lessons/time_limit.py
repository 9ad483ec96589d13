"""Imports of a lesson's graders and solutions, done before the clock of an answer starts."""

import ast
import ctypes
import functools
import importlib
import inspect
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType

log = logging.getLogger(__name__)


@functools.cache
def import_for_module(name: str) -> None:
    """Import everything that the functions of a module import.

    Args:
        name: Imported module, such as `qtha_lab.lessons.graders.lesson_01`.
    """
    module = sys.modules.get(name)
    if module is not None and hasattr(module, "__file__"):
        import_for_code(inspect.getsource(module))


@functools.cache
def import_for_code(code: str) -> None:
    """Import everything that code imports; a missing package is left to the code."""
    for name in imported_names(code):
        _import(name)


def imported_names(code: str) -> Iterator[str]:
    """Yield modules and names that code imports, anywhere.

    Example:
        >>> list(imported_names("import math, os.path\\nfrom torch import nn"))
        ['math', 'os.path', 'torch', 'torch.nn']
    """
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def _import(name: str) -> None:
    parent, _, attribute = name.rpartition(".")
    if parent in sys.modules and hasattr(sys.modules[parent], attribute):
        return
    try:
        importlib.import_module(name)
    except Exception as missing:  # the code that needs it reports it
        log.debug("%s is not imported beforehand: %s", name, missing)


SECONDS = 20.0  # of processor time for one answer on all its cases
PATIENCE = 3.0  # times as much, on the clock, since a busy machine works on other things too
TICK = 0.25  # seconds between two checks of the clocks, and until an interruption is repeated
FREE = ("numba.", "llvmlite.", "importlib.")  # modules whose time does not count
_uncounted: set[CodeType] = set()


class AnswerTimeout(BaseException):
    """Interruption of an answer; no `except Exception` of the answer catches it."""


def uncounted(function: FunctionType) -> FunctionType:
    """Mark a function with a limit of its own; its time does not count."""
    _uncounted.add(function.__code__)
    return function


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Interrupt the block after some seconds of processor time, or `PATIENCE` times as many.

    Time in which numba compiles, Python imports or an `uncounted` function runs does not count, and
    is not interrupted: an interrupted import leaves modules half loaded.
    The main thread is interrupted by a signal where the system has them, also while it sleeps.
    A limit inside of another one stops only its own block.
    Other threads are interrupted between two steps of Python, by the clock alone.

    Raises:
        AnswerTimeout: If the block takes longer.

    Example:
        >>> with time_limit(0.05):
        ...     while True: pass
        Traceback (most recent call last):
        qtha_lab.lessons.time_limit.AnswerTimeout
    """
    in_main = threading.current_thread() is threading.main_thread()
    outer = sys._getframe(2)  # the block's own frame
    limits = {time.monotonic: PATIENCE * seconds}
    tick = min(TICK, seconds / 10)
    if in_main and hasattr(signal, "setitimer"):
        with _by_signal(_Budget(limits | {time.process_time: seconds}, outer), tick):
            yield
    else:
        with _by_exception(_Budget(limits, outer), tick):
            yield


class _Budget:
    """Time of a block on several clocks, without compilations and imports."""

    def __init__(self, limits: dict[Callable[[], float], float], outer: FrameType):
        self.left, self.outer = limits, outer
        self.last = {clock: clock() for clock in limits}

    def is_spent(self, frame: FrameType | None) -> bool:
        """Count the time since the last call, unless the frame compiles or imports."""
        now = {clock: clock() for clock in self.left}
        passed, self.last = {clock: now[clock] - self.last[clock] for clock in now}, now
        if self._is_free(frame):
            return False
        self.left = {clock: self.left[clock] - passed[clock] for clock in now}
        return min(self.left.values()) <= 0

    def _is_free(self, frame: FrameType | None) -> bool:
        """Return True in a compilation, an import or an uncounted function of the block."""
        while frame and frame is not self.outer:
            if frame.f_code in _uncounted or frame.f_globals.get("__name__", "").startswith(FREE):
                return True
            frame = frame.f_back
        return False


@contextmanager
def _by_signal(budget: _Budget, tick: float) -> Iterator[None]:
    def on_tick(_number: int, frame: FrameType | None) -> None:
        if budget.is_spent(frame):
            raise AnswerTimeout

    before = signal.signal(signal.SIGALRM, on_tick)
    _, outer_tick = signal.setitimer(signal.ITIMER_REAL, tick, tick)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, outer_tick, outer_tick)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _by_exception(budget: _Budget, tick: float) -> Iterator[None]:
    number, ended, lock = threading.get_ident(), threading.Event(), threading.Lock()
    thread, raise_in = ctypes.c_ulong(number), ctypes.pythonapi.PyThreadState_SetAsyncExc

    def watch() -> None:
        while not ended.wait(tick):
            with lock:
                if not ended.is_set() and budget.is_spent(sys._current_frames().get(number)):
                    raise_in(thread, ctypes.py_object(AnswerTimeout))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with lock:
            raise_in(thread, None)  # an interruption that has not arrived yet
