"""Checks of a family's facts on one member or on a plugin's members."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.core.io import shortened
from qtha_lab.core.plugin_loading import load_plugins, module_name
from qtha_lab.core.registry import Registry
from qtha_lab.testing import (  # noqa: F401  declare their facts
    ansatz,
    change,
    engine,
    exercise,
    figure,
    gate,
    head,
    initialisation,
    method,
    quantization,
    reproduction,
    task,
)
from qtha_lab.testing.facts import FACTS, Broken


@dataclass(frozen=True)
class FactResult:
    """Result of one fact for one member, with the observation on failure."""

    kind: str
    member: str
    fact: str
    seen: str = ""

    @property
    def holds(self) -> bool:
        """True if the fact holds."""
        return not self.seen


def check_plugin(name: str) -> list[FactResult]:
    """Import a plugin and check every fact on each member that it registered.

    Raises:
        Refusal: If the plugin fails to import or registers nothing.
    """
    load_plugins([name])
    members = list(members_of(module_name(name)))
    if not members:
        kinds = ", ".join(registry.kind for registry in registries())
        raise Refusal(
            f"Plugin {shortened(name)} has no member of a family ({kinds}). Run `qtha-lab "
            f"new-plugin` for an example."
        )
    return [verdict for kind, member in members for verdict in check_member(kind, member)]


def members_of(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the kind and the member for each object that a module registered."""
    for registry in registries():
        yield from ((registry.kind, registry[name]) for name in registry.names_of(module))


def check_member(kind: str, member: Any) -> Iterator[FactResult]:
    """Check every fact of its family on a member.

    An exception of a check counts as its observation.
    """
    name = member.number if kind == "exercise" else member.name
    for fact in FACTS[kind]:
        try:
            fact.trial(member)
        except Broken as broken:
            yield FactResult(kind, name, fact.sentence, str(broken))
        except BaseException as problem:  # the member's own code may raise anything
            if isinstance(problem, GeneratorExit):
                raise
            yield FactResult(kind, name, fact.sentence, describe_error(problem))
        else:
            yield FactResult(kind, name, fact.sentence)


def registries() -> tuple[Registry, ...]:
    """Return the registries that a plugin may add members to."""
    from qtha_lab.adapters.heads import HEADS
    from qtha_lab.adapters.initialisation.angles.registry import ANGLE_INITIALISATIONS
    from qtha_lab.adapters.peft import OUR_METHODS
    from qtha_lab.circuits import GATES
    from qtha_lab.circuits.ansatze import ANSATZE
    from qtha_lab.figures.machinery.figure import FIGURES
    from qtha_lab.lessons.registry import EXERCISES
    from qtha_lab.models.quantisation.schemes.registry import BITS
    from qtha_lab.reproductions.machinery.registry import REPRODUCTIONS
    from qtha_lab.simulators.registry import ENGINES
    from qtha_lab.tasks.registry import TASKS

    return (
        OUR_METHODS,
        ANSATZE,
        TASKS,
        FIGURES,
        ENGINES,
        GATES,
        HEADS,
        BITS,
        ANGLE_INITIALISATIONS,
        EXERCISES,
        REPRODUCTIONS,
    )
