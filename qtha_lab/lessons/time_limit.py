"""Time limit for code of a reader, which may never end."""

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 120.0  # of processor time for one answer on all its cases; it may compile a kernel
ENGINE = "torch"  # of graders, since it compiles no kernel while the time runs
PATIENCE = 2.0  # times as much, on the clock, since a busy machine works on other things too
REPEAT = 0.5  # seconds until code that catches the interruption is interrupted again


class AnswerTimeout(BaseException):
    """Interruption of an answer; no `except Exception` of the answer catches it."""


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Interrupt the block after some seconds of processor time, or `PATIENCE` times as many.

    The main thread is interrupted by a signal where the system has them, also while it sleeps.
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
    if in_main and hasattr(signal, "setitimer"):
        with _by_signal(seconds):
            yield
    else:
        with _by_exception(PATIENCE * seconds):
            yield


@contextmanager
def _by_signal(seconds: float) -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise AnswerTimeout

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, seconds),
        signal.SIGALRM: (signal.ITIMER_REAL, PATIENCE * seconds),
    }
    before = {number: signal.signal(number, interrupt) for number in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit, REPEAT)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


@contextmanager
def _by_exception(seconds: float) -> Iterator[None]:
    thread, ended, lock = ctypes.c_ulong(threading.get_ident()), threading.Event(), threading.Lock()
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def watch() -> None:
        wait = seconds
        while not ended.wait(wait):
            with lock:
                if not ended.is_set():
                    raise_in(thread, ctypes.py_object(AnswerTimeout))
            wait = REPEAT

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with lock:
            raise_in(thread, None)  # an interruption that has not arrived yet
