"""Text form of choices, such as `qtha(r=4,waist=16)`, and of lists of them.

Handles text only. The callers check the meaning of names and values.
"""

import re
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

LONGEST = 2**16
"""Characters of a list or a choice."""


def split_list(text: str) -> list[str]:
    """Split at the commas outside all brackets and quotation marks.

    Raises:
        Refusal: If the text is longer than `LONGEST`.

    Example:
        >>> split_list("lora, qtha(r=4,in_dims=[4,4])")
        ['lora', 'qtha(r=4,in_dims=[4,4])']
    """
    if len(text) > LONGEST:
        got = f"{len(text):,}: {shortened(text, 40)}"
        raise Refusal(f"A list must have at most {LONGEST:,} characters, got {got}.")
    depth, quote, previous, parts = 0, "", ",", [""]
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif (
            letter in "'\"" and previous in ",=[({"
        ):  # an apostrophe inside a word opens no quotation
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
        previous = letter if letter != " " else previous
    return [part.strip() for part in parts if part.strip()]


def parse_call(text: str, kind: str) -> tuple[str, dict[str, Any]]:
    """Read `name` or `name(option=value,…)`.

    Example:
        >>> parse_call("qtha(r=4,reupload=false,in_dims=[8,8])", "method")
        ('qtha', {'r': 4, 'reupload': False, 'in_dims': [8, 8]})
        >>> parse_call("qtha(rank_pattern={v_proj:2,down_proj:8})", "method")
        ('qtha', {'rank_pattern': {'v_proj': 2, 'down_proj': 8}})
    """
    match = re.fullmatch(r"\s*([^()\s]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if not match:
        raise Refusal(
            f"A {kind} must have the form name or name(option=value,...), got {shortened(text)!r}."
        )
    return match[1], parse_options(match[2] or "")


def parse_options(text: str) -> dict[str, Any]:
    """Read `option=value,…` into a dict.

    A value is a number, true, false, null, text, a [list] or a {name:value} of values.
    """
    options = {}
    for part in split_list(text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise Refusal(f"An option must have the form name=value, got {shortened(part)!r}.")
        if name.strip() in options:
            raise Refusal(
                f"Options must have different names, got {shortened(name.strip())} twice."
            )
        options[name.strip()] = read_value(value.strip())
    return options


def call(name: str, options: dict[str, Any]) -> str:
    """Write the text that `parse_call` reads."""
    return f"{name}({write_options(options)})" if options else name


def write_options(options: dict[str, Any]) -> str:
    """Write the text that `parse_options` reads."""
    return ",".join(f"{key}={write_value(value)}" for key, value in options.items())


def read_value(text: str, depth: int = 8) -> Any:
    """Read one value of `parse_options`, with lists and objects at most `depth` deep.

    Braces without names, such as the column `{{m}}` of a table, are text.
    """
    if not depth and text.startswith(("[", "{")) and text.endswith(("]", "}")):
        raise Refusal(f"A value must be nested at most 8 levels deep, got {shortened(text)}.")
    if text.startswith("[") and text.endswith("]"):
        return [read_value(part, depth - 1) for part in split_list(text[1:-1])]
    if text.startswith("{") and text.endswith("}"):
        pairs = [part.rpartition(":") for part in split_list(text[1:-1])]
        if all(colon for _, colon, _ in pairs):
            return {
                str(read_value(name.strip(), depth - 1)): read_value(value.strip(), depth - 1)
                for name, _, value in pairs
            }
        return text
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def write_value(value: Any) -> str:
    """Write the text that `read_value` reads."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(write_value, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{_write_name(str(name))}:{write_value(v)}" for name, v in value.items())
        return "{" + ",".join(pairs) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        plain = value == read_value(value) and not re.search(r"[,()\[\]\s'\"]", value) and value
        quote = '"' if "'" in value else "'"
        return value if plain else f"{quote}{value}{quote}"
    return repr(value)


def _write_name(name: str) -> str:
    text = write_value(name)
    return f"'{name}'" if text == name and re.search(r"[{}:]", name) else text
