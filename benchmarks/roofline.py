"""Engine `cpu` against what plain sweeps over states of its size do on the same machine."""

from collections.abc import Iterable
from typing import Any

from qtha_lab.circuits.ansatze import build


def roofline(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Achieved operations and bytes per second, and the share of the roofline, of each row of
    `cpu`.

    Args:
        rows: As `bench_simulators` gives them; rows of others are passed over.

    Returns:
        A dictionary per row, of values with gradients: `flops`, `bytes` (achieved, per second),
        `peak_flops`, `peak_bytes` (sweeps), and `share`, the time at the peaks over the time taken.
    """
    from qtha_lab.simulators.cpu.roofline import sweep_peak, work_per_sample

    timed_rows = [row for row in rows if row["contender"] == "cpu" and row["backward_us"]]
    peaks = {n: sweep_peak(n) for n in sorted({row["n_qubits"] for row in timed_rows})}
    lines = []
    for row in timed_rows:
        peak, seconds = peaks[row["n_qubits"]], row["backward_us"] / 1e6
        passes = work_per_sample(build("qtha", row["n_qubits"], row["n_layers"]))
        least = sum(part.seconds(peak) for part in passes)
        lines.append({
            "n_qubits": row["n_qubits"], "n_layers": row["n_layers"], "batch": row["batch"],
            "flops": sum(part.flops for part in passes) / seconds,
            "bytes": sum(part.bytes for part in passes) / seconds,
            "peak_flops": peak.flops, "peak_bytes": peak.bytes, "share": least / seconds,
        })  # fmt: skip
    return lines
