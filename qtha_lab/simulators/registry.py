"""What an engine is, and the family of them by name.

An engine is an object or a module with the functions of `Engine`; it registers itself by `@engine`,
and is loaded when it is first used, so that asking for names imports no simulator.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.registry import Registry


class Engine(Protocol):
    """Runs a circuit for a batch; all its functions take the name it was asked for by.

    The name says more than the engine where it has variants or options, as in
    "device:default.mixed(noise=wukong)".
    """

    def check(self, circuit: Circuit, readout: Readout, name: str) -> None:
        """Refuse what the engine cannot do.

        Args:
            circuit: What is to be run.
            readout: What is to be read.
            name: As asked for.

        Raises:
            Refusal: If the engine does not run here, or does not take the circuit or the readout; with one
                sentence.
        """
        ...

    def run(
        self, circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str
    ) -> Tensor:
        """What is read of every sample, differentiable in both tensors.

        Args:
            circuit: What to run.
            inputs: (batch, n_inputs), float32 or float64, batch at least 1; unit vectors if the
                circuit starts in amplitudes.
            params: (n_params,), of the same type and device.
            readout: What to read.
            name: As asked for.

        Returns:
            (batch, readout size), of the same type and device; complex for the state.
        """
        ...

    def broadcasts(self, name: str) -> bool:
        """Whether a batch goes through together; else one circuit per sample is run."""
        ...

    def working_bytes(self, circuit: Circuit, batch: int, name: str) -> int:
        """Bytes it needs for a batch in float32, beside what autograd keeps.

        Args:
            circuit: What is to be run.
            batch: Samples, at least 1.
            name: As asked for.

        Returns:
            A number of bytes: of the tensors' device if the engine follows them, else of the host.
        """
        ...


@runtime_checkable
class CountsCircuits(Protocol):
    """An engine that runs circuits one by one, as a machine does, and can say how many."""

    def circuits(self, circuit: Circuit, readout: Readout, name: str) -> tuple[int, int]:
        """Circuits run for one sample: forward, and for its slopes.

        Args:
            circuit: What is to be run.
            readout: What is to be read.
            name: As asked for.

        Returns:
            The number forward, and the number backward with slopes of inputs and params.
        """
        ...


@runtime_checkable
class HasRemark(Protocol):
    """An engine that may have to say something of this machine."""

    def remark(self) -> str:
        """A clause for who asks which engine runs, such as where its kernels cannot be kept; empty where nothing."""
        ...


@runtime_checkable
class Yields(Protocol):
    """An engine that knows of batches that another gets through in less time."""

    def quicker(self, circuit: Circuit, batch: int) -> tuple[str, str] | None:
        """Who, and why, a clause for who asks which engine runs; None where it is this one.

        Args:
            circuit: What is to be run.
            batch: Samples.
        """
        ...


@runtime_checkable
class TakesTokens(Protocol):
    """An engine that can run a circuit between two matrices that stay, for the few tokens of an answer."""

    def between(
        self,
        first: Tensor,
        circuit: Circuit,
        params: Tensor,
        readout: Readout,
        last: Tensor,
        scale: float,
        name: str,
    ) -> Callable[[Tensor, Tensor], Tensor] | None:
        """As `between.between` without checks; None for a circuit that it cannot run so.

        Args:
            first: (in_features, n_inputs).
            circuit: What to run.
            params: (n_params,), float32 or float64; a copy is kept.
            readout: What to read.
            last: (values, out_features), or more rows for the inputs themselves.
            scale: Of the angles that the circuit takes.
            name: As asked for.
        """
        ...


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """An engine as declared (see `engine`)."""

    name: str
    strength: str
    load: Callable[[], Engine]
    auto: int | None = None
    place: int = 9
    examples: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    cpu_tensors_only: bool = False
    cuda_tensors_only: bool = False
    follows_tensors: bool = False
    transformable: bool = False
    listed: bool = True

    @functools.cached_property
    def loaded(self) -> Engine:
        """The engine itself.

        Raises:
            Refusal: If it does not run on this machine.
        """
        return self.load()

    @property
    def has_options(self) -> bool:
        """Whether it is named with a colon and what follows it, as "device:default.qubit"."""
        return any(":" in example for example in self.examples)


ENGINES: Registry[EngineInfo] = Registry("engine", "qtha_lab.simulators", group="qtha_lab.engines")


def engine(
    name: str,
    *,
    strength: str,
    auto: int | None = None,
    place: int = 9,
    examples: tuple[str, ...] = (),
    variants: tuple[str, ...] = (),
    cpu_tensors_only: bool = False,
    cuda_tensors_only: bool = False,
    follows_tensors: bool = False,
    transformable: bool = False,
    listed: bool = True,
) -> Callable:
    """Register what is decorated as an engine: a class with the functions of `Engine`.

    A function that imports and returns an engine will do too; it is called when the engine is first
    used, and may refuse, where the engine does not run on a machine.

    Args:
        name: What it is asked for by: `expval_z(…, engine=name)`.
        strength: What it is good at, a phrase.
        auto: Its turn when "auto" looks for an engine; None is taken only when named.
        place: Its place in lists.
        examples: What lists show in its place; with a colon, as "device:default.qubit", if what
            follows the colon is for the engine to read.
        variants: Further names it answers to.
        cpu_tensors_only: Whether tensors on other devices are refused before it is asked.
        cuda_tensors_only: Whether tensors that are not on a card are refused before it is asked.
        follows_tensors: Whether it computes where the tensors are; else its memory is the host's.
        transformable: Whether torch.func can go through it; others give it first derivatives alone.
        listed: Whether lists show it; it can be named all the same.

    Returns:
        A decorator that gives the class or function back as it is.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(load: Callable[[], Engine]) -> Callable[[], Engine]:
        info = EngineInfo(
            name,
            strength,
            load,
            auto=auto,
            place=place,
            examples=examples or (name,),
            variants=variants,
            cpu_tensors_only=cpu_tensors_only,
            cuda_tensors_only=cuda_tensors_only,
            follows_tensors=follows_tensors,
            transformable=transformable,
            listed=listed,
        )
        ENGINES.add(name, info, load.__module__)
        return load

    return register
