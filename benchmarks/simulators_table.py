"""Tables of a simulator benchmark, for the terminal and for the README; measures nothing."""

from collections.abc import Iterable
from typing import Any

from benchmarks.machine import BUSY
from benchmarks.reporting import pipes
from qtha_lab.core.errors import Refusal

Result = dict[str, Any]
ENOUGH = 0.25  # of a batch, from which the time of a sample is that of the batch's


def tables(result: Result) -> list[tuple[str, list[tuple[str, ...]]]]:
    """A caption and rows of text for every number of layers and batch: µs per sample."""
    return [
        (f"{layers} layers, batch {batch:,}", _table(result, layers, batch))
        for layers in sorted(result["settings"]["layers"])
        for batch in result["settings"]["batches"]
    ]


def _table(result: Result, layers: int, batch: int) -> list[tuple[str, ...]]:
    rows = _rows(result, layers, batch)
    qubits = result["settings"]["qubits"]
    heading = ("values / with gradients", *(f"n={n}" for n in qubits))
    body = [
        (contender["name"], *(_both(rows.get((contender["name"], n))) for n in qubits))
        for contender in result["contenders"]
    ]
    return [heading, *body]


def markdown(result: Result, layers: int = 4, batch: int = 2048) -> str:
    """The README's tables: one case of every contender, then the fastest peer over `cpu`
    everywhere.

    Args:
        result: What `bench_simulators` gave, or its JSON.
        layers: Of the first table.
        batch: Of the first table.

    Raises:
        ValueError: If that case was not measured.
    """
    rows, qubits = _rows(result, layers, batch), result["settings"]["qubits"]
    if not rows:
        raise Refusal(f"{layers} layers with a batch of {batch} were not measured")
    body = [
        (_title(contender), *(_cell(rows.get((contender["name"], n))) for n in qubits))
        for contender in result["contenders"]
    ]
    ratios = [_ratio(rows, n, result) for n in qubits]
    shares = [_share(result, layers, batch, n) for n in qubits]
    fastest = [_fastest(rows, n, result) or _fastest(rows, n, result, 0.0) or "–" for n in qubits]
    body += [("fastest peer timed", *fastest), ("fastest peer ÷ `cpu`", *ratios)]
    body += [("`cpu`, share of the roofline", *shares)]
    heading = ("", *(f"n = {n}" for n in qubits))
    parts = [_introduction(result, layers, batch), pipes([heading, *body])]
    parts += _notes(result, rows.values())
    others = [
        (f"L = {n_layers}, batch {size:,}{words}", *(_ratio(rows, n, result) for n in qubits))
        for n_layers in sorted(result["settings"]["layers"])
        for size in result["settings"]["batches"]
        for words, rows in (
            ("", _rows(result, n_layers, size)),
            (", fastest turns", _fastest_turns(_rows(result, n_layers, size))),
        )
    ]
    title = (
        "The fastest peer's time over that of `cpu`, in every case where a peer was timed; about"
        " (≈) where none was timed on a quarter of the samples: of more, each may take less, or"
        " more past its cache; at most (≤, and ≲ for both) where a peer was left out that took less"
        " than the fastest of these on other samples of the circuit, or was timed on none."
        " Neighbours on a shared machine only take time away: the rows of fastest turns are of the"
        " one turn of each that they took least of."
    )
    return "\n\n".join([*parts, title, pipes([heading, *others])]) + "\n"


def _introduction(result: Result, layers: int, batch: int) -> str:
    machine, settings = result["machine"], result["settings"]
    return (
        f"QTHA circuit, L = {layers}, batch {batch:,}, {settings['dtype']}: µs per sample for"
        f" values and both gradients, the median of up to {settings['rounds']} turns, and in"
        f" brackets the median for values alone ({machine['processor']}, {machine['torch_threads']}"
        " threads)"
    )


def left_out(result: Result) -> list[str]:
    """Who was not timed in which cases, and why, in sentences."""
    missing = [f"{name} was not measured: {why}" for name, why in result["missing"].items()]
    load = result["machine"].get("load_before", 0.0)
    busy = [f"the machine was not idle: load {load:.1f} before the start"] if load > BUSY else []
    return busy + [f"left out: {omission}" for omission in _omissions(result)] + missing


def _omissions(result: Result) -> list[str]:
    cases: dict[tuple[str, str], list[str]] = {}
    for row in result["rows"]:
        if row["left_out"]:
            case = f"n = {row['n_qubits']}, L = {row['n_layers']}, batch {row['batch']:,}"
            cases.setdefault((row["contender"], row["left_out"]), []).append(case)
    return [f"{name} at {'; '.join(where)}: {why}" for (name, why), where in cases.items()]


def _notes(result: Result, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Below the table: what was timed on fewer samples, what is missing, how far turns spread."""
    rows, notes = list(rows), []
    fewer = [row for row in rows if row["backward"] and row["samples"] < row["batch"]]
    if fewer:
        sizes = sorted({row["samples"] for row in fewer})
        span = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
        notes.append(f"† timed on fewer samples ({span}) to stay within the budget.")
    spread = [max(row["backward"]) / min(row["backward"]) for row in rows if row["backward"]]
    if spread:
        notes.append(f"The slowest turn took at most {max(spread):.2f} times the fastest.")
    notes += [f"Left out: {omission}." for omission in _omissions(result)]
    notes += [f"Not installed: {name}: {why}." for name, why in result["missing"].items()]
    return [" ".join(notes)] if notes else []


def _title(contender: dict[str, Any]) -> str:
    versions = contender["versions"]
    version = next(iter(versions.values()), "")
    name = (
        f"`{contender['name']}`" if contender["name"] == contender["title"] else contender["title"]
    )
    return f"{name} {version}".strip()


def _rows(result: Result, layers: int, batch: int) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (row["contender"], row["n_qubits"]): row
        for row in result["rows"]
        if (row["n_layers"], row["batch"]) == (layers, batch)
    }


def _fastest_turns(
    rows: dict[tuple[str, int], dict[str, Any]],
) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows with the time of their fastest turn in place of the median."""
    return {
        case: (
            row | {"backward_us": min(row["backward"]) / row["samples"] * 1e6}
            if row["backward"]
            else row
        )
        for case, row in rows.items()
    }


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or not row["backward"]:
        return "–"
    mark = "†" if row["samples"] < row["batch"] else ""
    return f"{_digits(row['backward_us'])}{mark} ({_digits(row['forward_us'])})"


def _both(row: dict[str, Any] | None) -> str:
    if row is None or not row["backward"]:
        return "–"
    mark = "†" if row["samples"] < row["batch"] else ""
    return f"{_digits(row['forward_us'])} / {_digits(row['backward_us'])}{mark}"


def _digits(value: float) -> str:
    """Two significant digits below ten, whole numbers from there.

    Example:
        >>> _digits(0.2734), _digits(7.82), _digits(1072.3)
        ('0.27', '7.8', '1,072')
    """
    return (
        f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"
    )


def _fastest(
    rows: dict[tuple[str, int], dict[str, Any]], n: int, result: Result, enough: float = ENOUGH
) -> str:
    """The peer that takes the shortest, "" if none was timed on enough samples.

    Of a few a call's overhead is all.
    """
    timed = [name for name in _peers(result) if _timed(rows.get((name, n)), enough)]
    return min(timed, key=lambda name: rows[name, n]["backward_us"], default="")


def _peers(result: Result) -> list[str]:
    return [c["name"] for c in result["contenders"] if c["name"] != c["title"]]


def _timed(row: dict[str, Any] | None, enough: float = 0.0) -> bool:
    return bool(row and row["backward_us"] and row["samples"] >= enough * row["batch"])


def _may_be_faster(
    name: str,
    than: str,
    rows: dict[tuple[str, int], dict[str, Any]],
    n: int,
    result: Result,
) -> bool:
    """Whether a peer might take less here than the fastest that counts, though it was not timed on
    enough samples.

    It might, where it took less on the most samples of the circuit on which both were timed, or was
    timed on none.
    """
    row, fastest = rows.get((name, n)), rows[than, n]
    if row is None or _timed(row, ENOUGH) or row["left_out"].startswith("disagrees"):
        return False
    if _timed(row):
        return row["backward_us"] < fastest["backward_us"]
    for batch in sorted(result["settings"]["batches"], reverse=True):
        smaller = _rows(result, fastest["n_layers"], batch)
        if _timed(smaller.get((name, n))) and _timed(smaller.get((than, n))):
            return smaller[name, n]["backward_us"] < smaller[than, n]["backward_us"]
    return True


def over_peers(
    result: Result, layers: int, batch: int, fastest_turns: bool = False
) -> dict[int, str]:
    """How many times as long as `cpu` the fastest peer takes, by the number of qubits; only where
    both were timed.

    "≈" stands where no peer was timed on enough samples: of more, each may take less, or more past
    its cache; "≤" (both:
    "≲") where one was left out that may be faster.

    Args:
        result: As for `markdown`.
        layers: Of the circuit.
        batch: Samples.
        fastest_turns: Whether the fastest turn of each is taken, not the median.
    """
    rows = _rows(result, layers, batch)
    rows = _fastest_turns(rows) if fastest_turns else rows
    ratios = {n: _over_fastest(rows, n, result) for n in result["settings"]["qubits"]}
    return {n: ratio for n, ratio in ratios.items() if ratio}


def _over_fastest(rows: dict[tuple[str, int], dict[str, Any]], n: int, result: Result) -> str:
    cpu = rows.get(("cpu", n), {}).get("backward_us")
    for (mark, at_most), enough in ((("", "≤ "), ENOUGH), (("≈ ", "≲ "), 0.0)):
        peer = _fastest(rows, n, result, enough)
        if peer and cpu:
            others = [name for name in _peers(result) if name != peer]
            if any(_may_be_faster(name, peer, rows, n, result) for name in others):
                mark = at_most
            return f"{mark}{rows[peer, n]['backward_us'] / cpu:,.0f}"
    return ""


def _ratio(rows: dict[tuple[str, int], dict[str, Any]], n: int, result: Result) -> str:
    ratio = _over_fastest(rows, n, result)
    return f"{ratio} ×" if ratio else "–"


def _share(result: Result, layers: int, batch: int, n: int) -> str:
    case = (layers, batch, n)
    for line in result["roofline"]:
        if (line["n_layers"], line["batch"], line["n_qubits"]) == case:
            return f"{line['share']:.0%}"
    return "–"


def roofline_rows(result: Result) -> list[tuple[str, ...]]:
    """Rows of text: what `cpu` achieves, and what plain sweeps of that size do."""
    heading = ("cpu against plain sweeps", "GFLOP/s", "of", "GB/s", "of", "roofline")
    body = [
        (
            f"n={line['n_qubits']}, L={line['n_layers']}, batch {line['batch']:,}",
            *(f"{line[k] / 1e9:,.1f}" for k in ("flops", "peak_flops", "bytes", "peak_bytes")),
            f"{line['share']:.0%}",
        )
        for line in result["roofline"]
    ]
    return [heading, *body]
