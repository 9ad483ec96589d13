"""Extrapolation of a measured step to a larger model, several devices and many runs.

Run it with `python -m qtha_lab.experiment.cost.extrapolation`. Pure arithmetic: nothing is
executed. It excludes circuits, data loading, evaluations and the overlap of communication with
computation.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

PRODUCTS = 4  # operations per weight and token: forward pass, and gradient of the activations
ADAM_BYTES = 16  # per trained number: float32 weight, gradient and two moments


@dataclass(frozen=True)
class ExtrapolatedStep:
    """One optimiser step on one of several equal devices that share every batch.

    Attributes:
        computing: Seconds of matrix products with the frozen weights.
        exchange: Seconds of the gradient all-reduce.
        exchanged: Bytes that each device sends.
        bytes_whole: Bytes per device with full replicas: 16-bit weights, adapter and optimiser
            state.
        bytes_sharded: Bytes per device if all of these are sharded among the devices (FSDP).
    """

    computing: float
    exchange: float
    exchanged: float
    bytes_whole: float
    bytes_sharded: float

    @property
    def seconds(self) -> float:
        """Seconds of the step, without overlap of communication and computation."""
        return self.computing + self.exchange


def rate(parameters: float, tokens: float, seconds: float) -> float:
    """Compute the floating-point operations per second of a measured adapter training step.

    Args:
        parameters: Parameters of the frozen model.
        tokens: Tokens in the step.
        seconds: Duration of the step.

    Example:
        >>> f"{rate(134_515_008, 4 * 64, 1.342):.3g}"  # SmolLM2-135M, lora(r=8), two cores
        '1.03e+11'
    """
    return PRODUCTS * parameters * tokens / seconds


def step(
    parameters: float, trained: float, tokens: float, devices: int, rate: float, link: float
) -> ExtrapolatedStep:
    """Predict an optimiser step on several devices.

    Args:
        parameters: Parameters of the frozen model.
        trained: Trained parameters of the adapter.
        tokens: Tokens in the batch that all devices share.
        devices: Number of devices.
        rate: Floating-point operations per second of one device.
        link: Bytes per second between neighbouring devices.

    Example:
        >>> whole = step(7e9, 4.2e6, 8 * 4096, devices=8, rate=1e14, link=5e10)
        >>> megabytes = whole.exchanged / 1e6
        >>> f"{whole.computing:.2f} s, {megabytes:.1f} MB, {whole.bytes_whole / 1e9:.1f} GB"
        '1.15 s, 29.4 MB, 14.1 GB'

    Source:
        Kaplan et al. 2020, arXiv:2001.08361, section 2.1: 2 operations per weight and token
        forward, as many for the gradient of each operand. Patarasuk and Yuan 2009: a ring sends
        2 (n - 1) / n of the data.
    """
    exchanged = 2 * (devices - 1) / devices * 4 * trained
    adapter, weights = ADAM_BYTES * trained, 2 * parameters
    return ExtrapolatedStep(
        computing=PRODUCTS * parameters * tokens / devices / rate,
        exchange=exchanged / link,
        exchanged=exchanged,
        bytes_whole=weights + adapter,
        bytes_sharded=(weights + adapter) / devices,
    )


def runs_seconds(runs: int, steps: int, seconds: float, overhead: float, at_once: int) -> float:
    """Predict the seconds of many runs with a limited number of concurrent runs.

    Args:
        runs: Number of runs.
        steps: Steps per run.
        seconds: Seconds per step.
        overhead: Seconds per run in addition to its steps.
        at_once: Number of concurrent runs.

    Example:
        >>> runs_seconds(1000, steps=100, seconds=0.1, overhead=10, at_once=32) / 60
        10.666666666666666
    """
    rounds = -(-runs // at_once)
    return rounds * (steps * seconds + overhead)


def main() -> None:
    """Print one line per number of devices, and one for the runs."""
    parser = argparse.ArgumentParser(description="Extrapolate a measured step.")
    add = parser.add_argument
    add("--seconds", type=float, required=True, help="of the measured step")
    add("--parameters", type=float, required=True, help="of the model it was measured with")
    add("--tokens", type=float, required=True, help="in it")
    add("--rate", type=float, help="FLOP/s of another device; default: as measured")
    add("--large", type=float, default=7e9, help="parameters of the larger model")
    add("--trained", type=float, default=4_194_304, help="numbers of its adapter")
    add("--batch", type=float, default=32_768, help="tokens in its batch")
    add("--link", type=float, default=5e10, help="bytes per second between devices")
    add("--runs", type=int, default=1000, help="of the small model")
    add("--steps", type=int, default=100, help="of each of them")
    add("--overhead", type=float, default=10.0, help="seconds of a run beside its steps")
    add("--at-once", type=int, default=32, help="runs at a time")
    a = parser.parse_args()
    measured = rate(a.parameters, a.tokens, a.seconds)
    speed = a.rate or measured
    lines = [
        f"measured: {measured:.3g} FLOP/s; taken for a device: {speed:.3g} FLOP/s",
        "devices  s per step  of it exchange  sent, MB  GB a device  sharded, GB a device",
    ]
    for devices in (1, 2, 4, 8):
        s = step(a.large, a.trained, a.batch, devices, speed, a.link)
        lines.append(
            f"{devices:7d}  {s.seconds:10.4g}  {s.exchange:13.2g}  {s.exchanged / 1e6:9.1f}"
            f"  {s.bytes_whole / 1e9:11.1f}  {s.bytes_sharded / 1e9:20.1f}"
        )
    hours = runs_seconds(a.runs, a.steps, a.seconds, a.overhead, a.at_once) / 3600
    alone = runs_seconds(a.runs, a.steps, a.seconds, a.overhead, 1) / 3600
    runs = f"{a.runs} runs of {a.steps} steps"
    lines.append(f"{runs}: {hours:.2f} h with {a.at_once} at once, {alone:.1f} h one by one")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
