"""Parser of JSON of unknown origin, with limited depth.

Python's json limits no depth below that of its own stack.
"""

import json
from typing import Any

from qtha_lab.core.errors import Refusal

DEEPEST = 64


def parse_json(text: str | bytes, *, depth: int = DEEPEST, constants: bool = True) -> Any:
    """Parse one JSON document.

    Args:
        text: The document; bytes must be UTF-8.
        depth: Deepest nesting of lists and objects.
        constants: Accept NaN and Infinity, which Python writes and JSON does not have.

    Raises:
        Refusal: With the position of the first error.

    Example:
        >>> parse_json('{"a": [1, 2]}')
        {'a': [1, 2]}
        >>> parse_json('{"a": ')
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: The text must be JSON, got line 1, column 7: Expecting value.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(text, parse_constant=None if constants else _refuse)
    except json.JSONDecodeError as problem:
        raise Refusal(
            f"The text must be JSON, got line {problem.lineno}, column {problem.colno}: "
            f"{problem.msg}."
        ) from None
    except UnicodeDecodeError as problem:
        raise Refusal(
            f"JSON must be UTF-8, got another encoding at byte {problem.start}."
        ) from None
    except RecursionError:
        raise Refusal(f"JSON must be nested at most {depth} levels deep, got more.") from None
    except Refusal:
        raise
    except ValueError:  # Python parses no integer of more than 4,300 digits
        raise Refusal("Numbers in JSON must have at most 4,300 digits, got more.") from None
    if text.count("[") + text.count("{") > depth and _deeper(value, depth):
        raise Refusal(f"JSON must be nested at most {depth} levels deep, got more.")
    return value


def _deeper(value: Any, depth: int) -> bool:
    """Return True if lists and objects are nested deeper than `depth`, without recursion."""
    level = [value]
    for _ in range(depth + 1):
        level = (
            [
                inner
                for outer in level
                if isinstance(outer, list | dict)
                for inner in (outer.values() if isinstance(outer, dict) else outer)
                if isinstance(inner, list | dict)
            ]
            if level
            else []
        )
        if not level:
            return False
    return True


def _refuse(name: str) -> float:
    raise Refusal(f"Numbers in JSON must be finite, got {name}.")
