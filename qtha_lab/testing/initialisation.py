"""Facts of an initialisation of angles, checked on circuits of 1 to 8 qubits.

One that reads a file, such as `run(RUN)`, is checked for its texts only.
"""

import logging
import math

import torch

from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisationInfo,
    AnglePosition,
)
from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.testing.facts import Broken, expect, expect_text, fact

log = logging.getLogger(__name__)


@fact("initialisation", "its summary and source have text")
def initialisation_texts(info: AngleInitialisationInfo) -> None:
    """Check that summary and source have text."""
    expect_text(info, "summary", "source")


@fact("initialisation", "it gives one finite angle per parameter, the same for the same draws")
def initialisation_shaped(info: AngleInitialisationInfo) -> None:
    """Check shape, values and repetition, and the call of a check without draws."""
    if info.takes:
        return
    begin = info.make("")
    for n in (1, 4, 8):
        place = AnglePosition(build("product" if n == 1 else "qtha", n, 2))
        try:
            begin.check_circuit(place.circuit)
            begin.check(place)
        except Refusal as reason:
            log.debug("%d qubits are refused: %s", n, reason)
            continue
        except Exception as problem:
            raise Broken(f"a check without draws raises {describe_error(problem)}") from problem
        generator = torch.Generator().manual_seed(n)
        uniform = math.pi * (2 * torch.rand(place.circuit.n_params, generator=generator) - 1)
        first, second = (begin.angles(place, uniform.clone()) for _ in range(2))
        expect(
            first.shape == uniform.shape,
            f"{n} qubits: angles have the shape {tuple(first.shape)}, not {tuple(uniform.shape)}",
        )
        expect(bool(first.isfinite().all()), f"{n} qubits: angles are not finite")
        expect(torch.equal(first, second), f"{n} qubits: two draws with one seed differ")
