"""Engine protocol and registry.

An engine is an object or a module with the functions of `Engine`. It registers itself with
`@engine` and is imported at first use, so listing names imports no simulator.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.registry import Registry


class Engine(Protocol):
    """Protocol of an engine, which runs a circuit for a batch.

    All functions take the requested name. For an engine with variants or options, the name contains
    these too, as in "device:default.mixed(noise=wukong)". An engine may also have:

    * `circuits(circuit, readout, name)`: numbers of circuits per sample for the values, and for the
      gradients of inputs and params, of an engine that runs single circuits as hardware does;
    * `remark()`: a limitation on this machine, a clause for `explain`, or "";
    * `quicker(circuit, batch)`: a faster engine with the reason, a clause for `explain`, or None;
    * `fuse_matrices(first, circuit, params, readout, last, scale, name)`: the function of
      `circuit_between_matrices.fuse_matrices` without checks, or None for an unsupported circuit.
    """

    def check(self, circuit: Circuit, readout: Readout, name: str) -> None:
        """Refuse an unsupported circuit or read-out.

        Args:
            circuit: Circuit to run.
            readout: Read-out to compute.
            name: Engine name as requested.

        Raises:
            Refusal: If the engine does not run on this machine, or does not support the circuit or
                the read-out.
        """
        ...

    def run(
        self, circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str
    ) -> Tensor:
        """Compute the read-out of every sample, differentiable in both tensors.

        Args:
            circuit: Circuit to run.
            inputs: (batch, n_inputs), float32 or float64, batch at least 1; unit vectors for
                amplitude encoding.
            params: (n_params,), of the same dtype and device.
            readout: Read-out to compute.
            name: Engine name as requested.

        Returns:
            (batch, readout size), of the same dtype and device; complex for the state.
        """
        ...

    def working_bytes(self, circuit: Circuit, batch: int, name: str) -> int:
        """Return the working memory for a float32 batch, without tensors saved by autograd.

        Args:
            circuit: Circuit to run.
            batch: Number of samples, at least 1.
            name: Engine name as requested.

        Returns:
            Bytes: on the tensors' device if the engine computes there, else on the host.
        """
        ...


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """Declaration of an engine (see `engine`).

    Attributes:
        name: Name for `expval_z(…, engine=name)`.
        load: Function that imports and returns the engine at first use.
        strength: A phrase that states the engine's advantage.
        auto: Position in the order that "auto" tries; None excludes the engine from "auto".
        place: Position in lists.
        examples: Names that lists show for the engine; by default its name. A colon, as in
            "device:default.qubit", means that the engine itself parses the text after the colon.
        variants: Further names of the engine.
        cpu_tensors_only: Whether tensors on other devices are refused.
        follows_tensors: Whether the engine computes on the tensors' device; else it uses host
            memory.
        transformable: Whether torch.func can trace the engine; others have first derivatives only.
        listed: Whether lists show the engine; unlisted engines can still be selected by name.
    """

    name: str
    load: Callable[[], Engine]
    _: dataclasses.KW_ONLY
    strength: str
    auto: int | None = None
    place: int = 9
    examples: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    cpu_tensors_only: bool = False
    follows_tensors: bool = False
    transformable: bool = False
    listed: bool = True

    @functools.cached_property
    def loaded(self) -> Engine:
        """Engine object, imported at first access.

        Raises:
            Refusal: If the engine does not run on this machine.
        """
        return self.load()

    @property
    def has_options(self) -> bool:
        """True if the name carries options after a colon, as "device:default.qubit"."""
        return any(":" in example for example in self.examples)


ENGINES: Registry[EngineInfo] = Registry("engine", "qtha_lab.simulators", group="qtha_lab.engines")


def engine(name: str, **declaration: Any) -> Callable:
    """Register the decorated class or loader function as an engine.

    A class implements the functions of `Engine`. A loader function imports and returns an engine;
    it is called at first use, and raises `Refusal` if the engine does not run on this machine.

    Args:
        name: Name for `expval_z(…, engine=name)`.
        declaration: Further fields of `EngineInfo`; `strength` is required.

    Returns:
        A decorator that returns the class or function unchanged.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(load: Callable[[], Engine]) -> Callable[[], Engine]:
        fields: dict[str, Any] = {"examples": (name,)} | declaration
        info = EngineInfo(name, load, **fields)
        ENGINES.add(name, info, load.__module__)
        return load

    return register
