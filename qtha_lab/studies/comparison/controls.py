"""Claims on methods and their classical controls, and on each part of QTHA.

Claims use existing runs at each method's best learning rate, per model and task. A part of QTHA
has no claim unless the methods with it and without it ran with three common seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.experiment import method_list
from qtha_lab.experiment.description import ModelTask
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.claims import Claim, claims
from qtha_lab.studies.comparison.paired import MARGIN
from qtha_lab.studies.comparison.row_losses import TestItems
from qtha_lab.studies.comparison.tuning import at_their_best

if TYPE_CHECKING:
    import pandas

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
    runs: pandas.DataFrame, items: Mapping[str, TestItems] | None = None, margin: float = MARGIN
) -> list[PartEffect]:
    """Compute the effect of each part of QTHA.

    Uses the first QTHA with a circuit that was run together with a parent of a part.
    """
    runs, items = results_frame(runs), items or {}
    best = at_their_best(runs).groupby("model_task", sort=False)
    parts = {model_task: _parts(model_task, of, items) for model_task, of in best}
    results = claims(runs, parts, items, runs["model_task"].nunique(), margin)
    return [
        PartEffect(parts[claim.model_task][claim.first, claim.second], claim) for claim in results
    ]


def _parts(
    model_task: ModelTask, runs: pandas.DataFrame, items: Mapping[str, TestItems]
) -> dict[tuple[str, str], str]:
    """Return the method pairs of the first usable QTHA, with the part of each."""
    methods = runs.dropna(subset="options").drop_duplicates("family")
    rows = list(zip(methods["family"], methods["method"], methods["options"], strict=True))
    by_essence: dict[str, str] = {}
    for name, method, options in rows:
        by_essence.setdefault(_essence(method, options), name)
    for options in (options for _, method, options in rows if _is_whole(method, options)):
        pairs: dict[str, tuple[str, str]] = {
            part: (first, second)
            for part, titles in PARTS.items()
            for first, second in [[by_essence.get(_variant(t, options)) for t in titles]]
            if first is not None and second is not None
        }
        different = {pair: part for part, pair in pairs.items()}
        if claims(runs, {model_task: different}, items):
            return different
    return {}


def _is_whole(method: str, options: dict[str, Any]) -> bool:
    """Return True if a method is QTHA with all parts, and no control."""
    changed = {"use_mpo", "use_linear", "use_circuit", "stand_in", "train_circuit", "ansatz"}
    return method == METHOD and not changed & method_list.without_defaults(method, options).keys()


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
    runs: pandas.DataFrame, items: Mapping[str, TestItems] | None = None, margin: float = MARGIN
) -> list[Claim]:
    """Compare each method to its own controls, as one Bonferroni family."""
    runs = results_frame(runs)
    pairs = control_pairs(runs)
    return claims(runs, pairs, items or {}, len(pairs), margin)


def control_pairs(runs: pandas.DataFrame) -> dict[ModelTask, list[tuple[str, str]]]:
    """Return the labels of methods with those of their controls, by (model, task) pair.

    Leaves out pairs with the first method, to which every method is compared anyway.
    """
    pairs = results_frame(runs).groupby("model_task", sort=False)
    return {model_task: _control_pairs(of) for model_task, of in pairs}


def _control_pairs(runs: pandas.DataFrame) -> list[tuple[str, str]]:
    methods = runs.drop_duplicates("family").set_index("family")
    columns = methods[["method", "options", "target_modules"]].itertuples()
    choices = {
        name: MethodChoice(name=method, options=options or {}, target_modules=modules)
        for name, method, options, modules in columns
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
