"""Claims on methods and their classical controls, and on each part of QTHA.

Claims use existing runs at each method's best learning rate, per model and task. A part of QTHA
has no claim unless the methods with it and without it ran with three common seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.experiment import method_list
from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.studies.comparison.claims import Claim, claims
from qtha_lab.studies.comparison.paired import MARGIN
from qtha_lab.studies.comparison.row_losses import TestItems
from qtha_lab.studies.comparison.tuning import at_their_best, family

if TYPE_CHECKING:
    from qtha_lab.adapters.method import Control

METHOD = "qtha"
WHOLE, DIRECT = "", "no tensor networks"
PARTS = {
    "MPO": ("no circuit", DIRECT),
    "bottleneck": ("no circuit", "tensor networks alone"),
    "bias": ("bias", "no circuit"),
    "non-linearity": ("two SiLU layers (BD)", "bias"),
    "circuit": (WHOLE, "two SiLU layers (BD)"),
    "entanglement": (WHOLE, "no entanglement"),
    "trained angles": (WHOLE, "frozen angles"),
}
"""Each part with the titles of the method that has it and of its parent without it."""
_OF_OPERATORS = ("waist", "bond_dim", "n_sites", "in_dims", "out_dims")
_OF_BRANCH = ("n_layers", "input_scale", "stand_in_layers", "fusion")
_OF_CIRCUIT = ("ansatz", "readout", "engine", "reupload", "train_circuit")


class PartEffect(NamedTuple):
    """Part of QTHA with the claim on its effect."""

    part: str
    claim: Claim

    def plain(self) -> dict[str, Any]:
        """Return the row as plain data for JSON."""
        return {"part": self.part, **self.claim.plain()}


def decompose(
    entries: Sequence[dict[str, Any]],
    items: Mapping[str, TestItems] | None = None,
    margin: float = MARGIN,
) -> list[PartEffect]:
    """Compute the effect of each part of QTHA.

    Uses the first QTHA with a circuit that was run together with a parent of a part.

    Args:
        entries: Entries of all runs of a comparison.
        items: Test rows by run id, for the runs that have them.
        margin: Largest difference that counts as equivalent.
    """
    best, items = at_their_best(entries), items or {}
    parts = {
        model_task: _parts(model_task, in_model_task, items)
        for model_task, in_model_task in by_model_task(best).items()
    }
    results = claims(entries, parts, items, len(by_model_task(entries)), margin)
    return [
        PartEffect(parts[claim.model_task][claim.first, claim.second], claim) for claim in results
    ]


def _parts(
    model_task: ModelTask, entries: Sequence[dict[str, Any]], items: Mapping[str, TestItems]
) -> dict[tuple[str, str], str]:
    """Return the method pairs of the first usable QTHA, with the part of each."""
    by_essence: dict[str, str] = {}
    for entry in entries:
        if "options" in entry:
            by_essence.setdefault(_essence(entry["method"], entry["options"]), family(entry))
    wholes = {family(e): e["options"] for e in entries if "options" in e and _is_whole(e)}
    for options in wholes.values():
        pairs: dict[str, tuple[str, str]] = {
            part: (first, second)
            for part, titles in PARTS.items()
            for first, second in [[by_essence.get(_variant(t, options)) for t in titles]]
            if first is not None and second is not None
        }
        different = {pair: part for part, pair in pairs.items()}
        if claims(entries, {model_task: different}, items):
            return different
    return {}


def _is_whole(entry: Mapping[str, Any]) -> bool:
    """Return True if a run is of QTHA with all parts, and no control."""
    options = method_list.without_defaults(entry["method"], entry["options"])
    changed = {"use_mpo", "use_linear", "use_circuit", "stand_in", "train_circuit", "ansatz"}
    return entry["method"] == METHOD and not changed & options.keys()


def controls_of(method: str, options: Mapping[str, Any]) -> list[Control]:
    """List the controls of a method, as `adapters.registry.controls_of`, loaded when called."""
    from qtha_lab.adapters import registry

    return registry.controls_of(method, options)


def _variant(title: str, options: Mapping[str, Any]) -> str:
    """Return the settings that identify the control of a title, or QTHA itself."""
    if title == WHOLE:
        return _essence(METHOD, options)
    if title == DIRECT:
        return _essence(METHOD, {**options, "use_circuit": False, "use_mpo": False})
    (control,) = (c for c in controls_of(METHOD, options) if c.title == title)
    return _essence(METHOD, control.options)


def _essence(method: str, options: Mapping[str, Any]) -> str:
    """Return a text that is equal for methods with the same training.

    Options without effect on the method are omitted.

    Example:
        >>> _essence("qtha", {"r": 4, "n_layers": 1, "use_circuit": False})
        'qtha(r=4,use_circuit=false)'
    """
    if method != METHOD:
        return MethodChoice(name=method, options=dict(options)).meaning
    unread: tuple[str, ...] = ()
    if options.get("use_mpo") is False:
        unread += _OF_OPERATORS
    if options.get("use_circuit") is False:
        unread += (*_OF_BRANCH, *_OF_CIRCUIT, "stand_in")
    elif options.get("stand_in", "none") != "none":
        unread += _OF_CIRCUIT
    if options.get("stand_in") in ("bias", "silu", "hilbert"):
        unread += ("n_layers", "input_scale")
    read = {name: value for name, value in options.items() if name not in unread}
    return MethodChoice(name=method, options=read).meaning


def against_controls(
    entries: Sequence[dict[str, Any]],
    items: Mapping[str, TestItems] | None = None,
    margin: float = MARGIN,
) -> list[Claim]:
    """Compare each method to its own controls, as one Bonferroni family."""
    pairs = control_pairs(entries)
    return claims(entries, pairs, items or {}, len(pairs), margin)


def control_pairs(entries: Iterable[dict[str, Any]]) -> dict[ModelTask, list[tuple[str, str]]]:
    """Return the labels of methods with those of their controls, by (model, task) pair.

    Leaves out pairs with the first method, to which every method is compared anyway.
    """
    return {model_task: _control_pairs(of) for model_task, of in by_model_task(entries).items()}


def _control_pairs(entries: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    choices = {
        family(dict(entry)): MethodChoice(
            name=entry["method"],
            options=entry.get("options", {}),
            target_modules=entry.get("target_modules"),
        )
        for entry in entries
    }
    by_meaning = {choice.meaning: name for name, choice in choices.items()}
    first = next(iter(choices), "")
    return [
        (name, by_meaning[meaning])
        for name, choice in choices.items()
        for control in controls_of(choice.name, choice.options)
        for meaning in [choice.replace(name=control.method, options=control.options).meaning]
        if by_meaning.get(meaning, first) != first and name != first
    ]
