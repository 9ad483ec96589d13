"""Make bad inputs: damaged copies of valid ones, and texts of a reader's own words.

Everything is drawn from one seeded generator; the same seed gives the same bytes.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

EVIL = (
    b"\0",
    b"\x1b[31m",
    b"\x1b]52;c;ZWNobw==\x07",
    "\u202e".encode(),
    "\u2066".encode(),
    b"\xed\xa0\x80",
    b"\xff",
    b"\xef\xbb\xbf",
    b"9" * 5000,
    b"1e999",
    b"-1e308",
    b"nan",
    b".inf",
    b"[" * 2000,
    b"{" * 2000,
    b'{"a":' * 500,
    b"(" * 3000,
    b"&a [*a]",
    b"!!python/object:os.system",
    b"\r\n",
    b"'",
    b'"',
    b"x" * 20_000,
    b"..",
    b"/dev/null",
    b"0x10",
    b"1_000",
    b"-0",
    b"None",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b",",
    b":",
    b"=",
    b"1..1000000000",
    b"1e-4..1e-1 log 99999999999",
    b"%s",
    b"{{ 1/0 }}",
    b"\xf0\x9f\x92\xa9",
    b"-",
    b"=1+1",
    b"18446744073709551616",
)
VALUES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    10**6,
    10**9,
    2**63,
    10**400,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "x",
    "0",
    [],
    {},
    [[]],
    {"a": {"b": None}},
    "\x1b[31mred",
    "\u202e",
    "\0",
    "../../x",
    "x" * 5000,
    [0] * 5000,
    -0.5,
)
PLACES = (b"fifo", b"device", b"link", b"folder", b"missing", b"sparse", b"loop", b"unreadable")
PLACE = b"\0place:"
"""An input of this beginning stands for something other than a file with these bytes."""
LARGEST = 2**20


def mutated(seeds: tuple[bytes, ...], rng: random.Random, *, files: bool) -> bytes:
    """Damage one of the seeds once to three times.

    Of files, one in thirty becomes another kind of thing.
    """
    if files and rng.random() < 1 / 30:
        return PLACE + rng.choice(PLACES)
    data = rng.choice(seeds)
    for _ in range(rng.randint(1, 3)):
        data = rng.choice(MUTATIONS)(data, seeds, rng)[:LARGEST]
    return data


def _flip(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    changed = bytearray(data or b"0")
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _splice(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    other = rng.choice(seeds)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _insert(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.choice(EVIL) + data[place:]


def _number(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return _insert(data, seeds, rng)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice((*EVIL[8:], b"-1", b"0")) + data[match.end() :]


def _word(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    words = list(re.finditer(rb"[A-Za-z_]+", data))
    if not words:
        return _insert(data, seeds, rng)
    at, other = rng.choice(words), rng.choice(words)
    return data[: at.start()] + other[0] + data[at.end() :]


def _lines(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at : at + 1] = rng.choice(
        ([], [lines[at]] * 2, [lines[at]] * 300, [lines[-1], lines[at]])
    )
    return b"\n".join(lines)


def _value(data: bytes, seeds: tuple[bytes, ...], rng: random.Random) -> bytes:
    """Replace a value in one JSON document, or in one JSON line."""
    lines = [data] if b"\n" not in data.strip() or data.startswith(b"{\n") else data.split(b"\n")
    at = rng.randrange(len(lines))
    try:
        lines[at] = _replaced(json.loads(lines[at]), rng)
    except (ValueError, RecursionError):
        return _number(data, seeds, rng)
    return b"\n".join(lines)


def _replaced(document: Any, rng: random.Random) -> bytes:
    document = copy.deepcopy(document)
    places = _places(document)
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    holder, key = rng.choice(places)
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = rng.choice(VALUES)
    return json.dumps(document).encode()


def _places(document: Any) -> list[tuple[Any, Any]]:
    found, queue = [], [document]
    while queue and len(found) < 5000:
        holder = queue.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            found += [(holder, key) for key in keys]
            queue += [holder[key] for key in keys]
    return found


MUTATIONS: tuple[Callable[[bytes, tuple[bytes, ...], random.Random], bytes], ...] = (
    _flip, _cut, _splice, _insert, _number, _word, _lines, _value, _value,
)  # fmt: skip


def words_of(text: str, at: str | None = None) -> list[str]:
    """The words of a text."""
    return text.split(at)


def sentences(*words: str) -> st.SearchStrategy[bytes]:
    """Texts of a reader's own words, of numbers and of evil ones."""
    evil = [text.decode("utf-8", "surrogateescape") for text in EVIL]
    numbers = st.one_of(st.integers().map(str), st.floats().map(str))
    token = st.one_of(
        st.sampled_from(words), st.sampled_from(words), numbers, st.sampled_from(evil)
    )
    joined = st.tuples(st.lists(token, max_size=12), st.sampled_from(("", "", " ")))
    return joined.map(lambda pair: pair[1].join(pair[0]).encode("utf-8", "surrogateescape"))


def documents(*examples: Any, lines: bool = False) -> st.SearchStrategy[bytes]:
    """JSON, which is YAML too: objects with the examples' keys and with values of any form.

    Args:
        examples: Valid objects, whose keys and values are used.
        lines: Draw several of them, one in a line.
    """
    keys = sorted({key for example in examples for key in _keys(example)})
    texts = st.one_of(
        st.text(max_size=12), st.sampled_from([v for v in VALUES if isinstance(v, str)])
    )
    plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
    known = st.sampled_from(sorted({json.dumps(v) for e in examples for v in _leaves(e)})).map(
        json.loads
    )
    value = st.recursive(
        st.one_of(plain, known, known),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=4)
        ),
        max_leaves=8,
    )
    changed = st.tuples(
        st.sampled_from(examples), st.dictionaries(st.sampled_from(keys), value, max_size=4)
    ).map(lambda pair: {**pair[0], **pair[1]})
    document = st.one_of(changed, changed, value).map(lambda v: json.dumps(v).encode())
    return st.lists(document, max_size=6).map(b"\n".join) if lines else document


def _keys(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (set(value) if isinstance(value, dict) else set()).union(*map(_keys, inner))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [value, *(leaf for each in inner for leaf in _leaves(each))]
    return [value]
