"""What is wrong with an answer, in a sentence: numbers, arrays, words, and functions on cases.

Every function returns nothing for a right answer and raises `Wrong` for another. They never tell a
value that was asked for; a function is told on which arguments it went wrong.
"""

import dis
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

RTOL = 1e-4


class Wrong(Exception):  # noqa: N818 - an answer is wrong, nothing has failed
    """An answer that is not right; the text says why."""


def is_empty(answer: Any) -> bool:
    """Whether an answer was left as it stood: `...`, something that holds one, or a function of only that.

    Example:
        >>> def stub(values): ...
        >>> is_empty(...), is_empty((1, ...)), is_empty(stub), is_empty(0)
        (True, True, True, False)
    """
    if isinstance(answer, (list, tuple)):
        return any(map(is_empty, answer))
    if isinstance(answer, dict):
        return any(map(is_empty, answer.values()))
    return answer is ... or _does_nothing(answer)


def _does_nothing(function: Any) -> bool:
    """Whether a function's body is `...`, `pass` or a docstring alone."""
    if not hasattr(function, "__code__"):
        return False
    steps = [s for s in dis.get_instructions(function) if s.opname not in ("RESUME", "NOP")]
    returns = ("LOAD_CONST", "RETURN_CONST", "RETURN_VALUE")
    return all(s.opname in returns and s.argval in (None, ...) for s in steps)


def number(
    answer: Any, right: float, *, rtol: float = RTOL, atol: float = 1e-9, traps: Mapping = {}
) -> None:
    """One number, close enough; `traps` maps wrong values to what led to them.

    Example:
        >>> number(4, 8, traps={4: "that is one side only"})
        Traceback (most recent call last):
        qtha_lab.exercises.judge.Wrong: 4 is not it: that is one side only
    """
    try:
        value = float(answer)
    except (TypeError, ValueError):
        raise Wrong(f"a number is asked for, not {_short(answer)}") from None
    if np.isclose(value, right, rtol=rtol, atol=atol):
        return
    for trap, why in traps.items():
        if np.isclose(value, trap, rtol=rtol, atol=atol):
            raise Wrong(f"{_short(answer)} is not it: {why}")
    raise Wrong(f"{_short(answer)} is too {'large' if value > right else 'small'}")


def array(answer: Any, right: Any, *, rtol: float = RTOL, atol: float = 1e-6) -> None:
    """Numbers of a shape: the shape first, then the first entry that differs.

    Example:
        >>> array([1, 2], [1, 2, 3])
        Traceback (most recent call last):
        qtha_lab.exercises.judge.Wrong: its shape is (2,), not (3,)
    """
    right = np.asarray(right, dtype=float)
    value = _as_array(answer)
    if value.shape != right.shape:
        raise Wrong(f"its shape is {value.shape}, not {right.shape}")
    differs = np.argwhere(~np.isclose(value, right, rtol=rtol, atol=atol))
    if len(differs):
        place = tuple(map(int, differs[0]))
        where = ", ".join(map(str, place))
        raise Wrong(f"entry [{where}] is {value[place]:.6g}, which is not it")


def word(answer: Any, right: str, among: Iterable[str], *, traps: Mapping[str, str] = {}) -> None:
    """One of a few words.

    Example:
        >>> word("left", "right", ["left", "right"], traps={"left": "look again"})
        Traceback (most recent call last):
        qtha_lab.exercises.judge.Wrong: 'left' is not it: look again
    """
    among = list(among)
    said = str(answer).strip().lower()
    if said == right.lower():
        return
    if said not in [one.lower() for one in among]:
        raise Wrong(f"the answer is one of {', '.join(map(repr, among))}, not {_short(answer)}")
    raise Wrong(f"{said!r} is not it{': ' + traps[said] if said in traps else ''}")


def on_cases(
    function: Any,
    cases: Iterable[tuple[tuple, Any]],
    *,
    rtol: float = RTOL,
    atol: float = 1e-6,
    told: Callable[..., str] | None = None,
) -> None:
    """A function on arguments whose result is known.

    Args:
        cases: (arguments, right result) each.
        told: Names the arguments in the sentence, for those too long to print.

    Example:
        >>> on_cases(lambda x: x + 1, [((1,), 2), ((3,), 9)])
        Traceback (most recent call last):
        qtha_lab.exercises.judge.Wrong: for (3) it gives 4, not 9
    """
    if not callable(function):
        raise Wrong(f"a function is asked for, not {_short(function)}")
    for arguments, right in cases:
        name = told(*arguments) if told else f"({', '.join(map(_short, arguments))})"
        try:
            result = function(*arguments)
        except Exception as stopped:
            raise Wrong(f"for {name} it stops with {type(stopped).__name__}: {stopped}") from None
        if result is None:
            raise Wrong(f"for {name} it returns nothing: is there a return?")
        value, wanted = _as_array(result), np.asarray(right, dtype=float)
        if value.shape != wanted.shape:
            raise Wrong(f"for {name} it gives shape {value.shape}, not {wanted.shape}")
        if not np.allclose(value, wanted, rtol=rtol, atol=atol):
            raise Wrong(f"for {name} it gives {_short(result)}, not {_short(right)}")


def _as_array(answer: Any) -> np.ndarray:
    """Numbers of any kind, a torch tensor too, as an array."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    try:
        return np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise Wrong(f"numbers are asked for, not {_short(answer)}") from None


def _short(value: Any) -> str:
    """The value in few letters."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
