"""Flat names of grouped settings: `eval_every=5` beside `evaluation=Evaluation(eval_every=5)`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.training_groups import (
    OBJECTIVES,
    Distillation,
    Evaluation,
    Objective,
    Optim,
    Supervised,
)
from qtha_lab.experiment.validated_model import Declared, FieldError

GROUPS: dict[str, type[Declared]] = {"optim": Optim, "evaluation": Evaluation}


def named_fields(group: type[Declared]) -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield the flat name, the name and the declaration of each setting of a group."""
    for name, field in group.model_fields.items():
        extra = field.json_schema_extra
        flat = extra.get("flat", name) if isinstance(extra, dict) else name
        yield str(flat), name, field


def default_of(field: FieldInfo) -> Any:
    """Return the default of a setting; "" for the required teacher."""
    return "" if field.is_required() else field.get_default(call_default_factory=True)


def group_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Move settings with flat names into their groups.

    Raises:
        Refusal: If a setting is given twice, or belongs to another objective.
    """
    fields = dict(fields)
    for name, group in GROUPS.items():
        inside = {flat: fields.pop(flat) for flat, _, _ in named_fields(group) if flat in fields}
        if inside:
            fields[name] = _merged(group, fields.get(name), inside)
    names = {flat for kind in OBJECTIVES.values() for flat, _, _ in named_fields(kind)}
    inside = {flat: fields.pop(flat) for flat in names & fields.keys()}
    if inside or "objective" in fields:
        fields["objective"] = _objective(fields.get("objective"), inside)
    return fields


def _objective(stated: Any, flat: dict[str, Any]) -> Objective:
    if stated is None:
        stated = Distillation.kind if flat.get("teacher") else Supervised.kind
    if isinstance(stated, str):
        name, options = calls.parse_call(stated, "objective")
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES)
        kind, stated = OBJECTIVES[name], options
    else:
        kind = type(stated)
        if kind not in OBJECTIVES.values():
            return stated  # refused by the type of the field
    own = {name for name, _, _ in named_fields(kind)}
    for other in OBJECTIVES.values():
        for name, _, field in named_fields(other):
            if name in flat and name not in own and flat[name] != default_of(field):
                raise FieldError(
                    f"{name} must be set with objective={other.kind}, got objective={kind.kind}.",
                    name,
                )
    return _merged(kind, stated, {name: flat[name] for name in own & flat.keys()})


def _merged(group: type[Declared], stated: Any, flat: dict[str, Any]) -> Any:
    """Create a group from a stated group and flat settings without a common name."""
    if isinstance(stated, group):
        stated = {name: getattr(stated, name) for name in stated.model_fields_set}
    if stated is not None and not isinstance(stated, dict):
        return stated  # refused by the type of the field
    fields, names = dict(stated or {}), {}
    for flat_name, name, _ in named_fields(group):
        if flat_name not in flat:
            continue
        if name in fields and fields[name] != flat[flat_name]:
            raise FieldError(
                f"{flat_name} must be given once, got {fields[name]!r:.60} and "
                f"{flat[flat_name]!r:.60}.",
                flat_name,
            )
        fields[name], names[name] = flat[flat_name], flat_name
    try:
        return group(**fields)
    except FieldError as refused:
        first, dot, rest = refused.place.partition(".")
        place = f"{names.get(first, first)}{dot}{rest}"
        starts = bool(refused.place) and str(refused).startswith(refused.place)
        sentence = place + str(refused).removeprefix(refused.place) if starts else str(refused)
        raise FieldError(sentence, place) from None


def flattened(group: Declared) -> dict[str, Any]:
    """Return the settings of a group by their flat names."""
    return {flat: getattr(group, name) for flat, name, _ in named_fields(type(group))}
