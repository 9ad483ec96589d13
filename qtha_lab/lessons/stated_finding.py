"""Direction and numbers that a sentence on QTHA and LoRA states.

A sentence is read word by word: the method whose loss is said to be higher or lower is the last
one named before the word of direction, unless "than", "with" or "to" makes it the other side.
"""

import re
from collections.abc import Iterator

HIGHER = "higher greater larger more above exceeds exceeded worse behind loses trails inferior"
LOWER = "lower smaller less below under better ahead beats outperforms outperformed superior wins"
IS_HIGHER = dict.fromkeys(HIGHER.split(), True) | dict.fromkeys(LOWER.split(), False)
OTHER_SIDE = {"than", "with", "to", "against", "versus", "vs", "over"}
FILLERS = {"of", "for", "that", "those", "the", "a", "test", "loss", "method", "mean", "s"}
NEGATIONS = {"not", "no", "never", "neither", "cannot"}
ASIDE = re.compile(
    r"(?:lower|higher|smaller|larger|less|more) is (?:better|worse)"
    r"|(?:lower|upper|higher) (?:end|bound|limit|edge)|(?:above|below) (?:zero|0)\b"
)
NAMES = ("qtha", "lora")
MINUS = re.compile(r"(qtha|lora)[^.;]*?\bminus\b[^.;]*?(?:qtha|lora)")
NUMBER = re.compile(r"(?<![\d.])([-+−]?)(\d+\.\d+)")
STATED = re.compile(r"[^.;]*?\s([-+−]?)\d+\.\d+")


def directions(text: str) -> set[bool]:
    """Return whether each statement calls QTHA's loss higher.

    Example:
        >>> directions("LoRA outperforms QTHA by 0.05"), directions("QTHA is better than LoRA")
        ({True}, {False})
    """
    return {is_higher == (name == "qtha") for name, is_higher in _statements(text)} | set(
        _by_difference(text)
    )


def _statements(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each method with True if its loss is called higher."""
    words = re.findall(r"[a-z]+", ASIDE.sub(" ", text.lower()))
    for place, word in enumerate(words):
        if word not in IS_HIGHER or NEGATIONS & {*words[max(place - 3, 0) : place]}:
            continue
        name = _subject(words, place)
        is_passive = word == "outperformed" and "by" in words[place + 1 : place + 2]
        if name:
            yield name, IS_HIGHER[word] != is_passive


def _subject(words: list[str], place: int) -> str:
    """Return the method that a word of direction is about; empty without one."""
    for at in range(place - 1, -1, -1):
        if words[at] in NAMES and not _is_other_side(words, at):
            return words[at]
    for at in range(place + 1, len(words)):
        if words[at] in NAMES:
            other = NAMES[words[at] == NAMES[0]]
            return other if _is_other_side(words, at) else words[at]
    return ""


def _is_other_side(words: list[str], at: int) -> bool:
    while at and words[at - 1] in FILLERS:
        at -= 1
    return at > 0 and words[at - 1] in OTHER_SIDE


def _by_difference(text: str) -> Iterator[bool]:
    """Yield the direction of a stated difference, such as "QTHA minus LoRA is 0.05"."""
    for found in MINUS.finditer(text.lower()):
        if value := STATED.match(text, found.end()):
            yield (value[1] in "+") == (found[1] == "qtha")


def has_sign_of(text: str) -> bool:
    """Return True unless a number is negative and the difference is not LoRA minus QTHA."""
    of_lora = any(name == "lora" for name, _ in _statements(text))
    of_lora |= any(found[1] == "lora" for found in MINUS.finditer(text.lower()))
    return of_lora or not any(sign in "-−" for sign, _ in NUMBER.findall(text) if sign)


def unknown_numbers(text: str, known: list[float]) -> list[str]:
    """Return the decimal numbers of a text that round to no known one.

    Example:
        >>> unknown_numbers("0.05 [0.037, 0.09]", [0.0544, 0.0374, 0.0713])
        ['0.09']
    """
    return [
        number
        for _, number in NUMBER.findall(text)
        if number not in {f"{abs(v):.{len(number.partition('.')[2])}f}" for v in known}
    ]
