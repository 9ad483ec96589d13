"""What an event may hold, kind by kind: a line that holds anything else is not an event.

Declares and checks; reads no file. Kinds and fields that are not declared here pass as they are, so that
an older version reads the log of a newer one.
"""

from __future__ import annotations

import functools
from typing import (
    Annotated,
    Any,
    NotRequired,  # pydantic reads this one on every Python
)

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

Step = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=1e11)]
Values = list[float | None]
_event = with_config(ConfigDict(strict=True, extra="allow", allow_inf_nan=False))


@_event
class Event(TypedDict):
    """Any event: when it was written."""

    t: NotRequired[Seconds]
    kind: str


@_event
class At(Event):
    """An event that belongs to a step."""

    step: Step


@_event
class StatusEvent(At):
    """A state begins, or goes on (`again`)."""

    state: str
    message: NotRequired[str]
    again: NotRequired[bool]


@_event
class NoteEvent(At):
    """Something that a person should know of the run."""

    message: str


@_event
class TrainEvent(At):
    """A step was taken."""

    loss: float | None
    learning_rate: NotRequired[float | None]
    grad_norm: NotRequired[float | None]
    seconds: NotRequired[Seconds]
    tokens: NotRequired[int | None]  # seen so far, without padding
    memory_mib: NotRequired[float | None]  # after the step, counted as the peak is


@_event
class EvalEvent(At):
    """The model was evaluated."""

    loss: float | None
    perplexity: NotRequired[float | None]
    token_accuracy: NotRequired[float | None]
    accuracy: NotRequired[float | None]
    macro_f1: NotRequired[float | None]


@_event
class RoundEvent(At):
    """A server averaged what its clients sent: bytes of this round, to all of them and from them."""

    round: Annotated[int, Field(ge=1)]
    bytes_down: Annotated[int, Field(ge=0)]
    bytes_up: Annotated[int, Field(ge=0)]


@_event
class TestEvent(EvalEvent):
    """The trained model was tested."""

    train_loss: NotRequired[float | None]


@_event
class GeneralEvent(At):
    """The trained model was evaluated on general prose, with its adapter and without."""

    loss: float | None
    loss_base: float | None


@_event
class GenerationEvent(At):
    """Evaluation rows were answered in full."""

    exact_match: NotRequired[float | None]
    bleu4: NotRequired[float | None]
    rouge1: NotRequired[float | None]
    rouge2: NotRequired[float | None]
    rougeL: NotRequired[float | None]
    samples: NotRequired[list[dict[str, Any]]]


@_event
class LayerSpectrum(TypedDict):
    """What `qtha_lab.analysis.snapshot` gives of one layer."""

    singular_values: NotRequired[Values]
    effective_rank: NotRequired[float | None]
    bond_entropy_bits: NotRequired[dict[str, Values]]


@_event
class ThreadsEvent(At):
    """The run goes on with so many CPU threads, beside other runs or alone where that is known."""

    count: Annotated[int, Field(ge=1)]
    side_by_side: NotRequired[bool]


@_event
class SpectrumEvent(At):
    """Singular values of the update, by layer."""

    layers: NotRequired[dict[str, LayerSpectrum | Values]]


@_event
class AnnotationEvent(Event):
    """A person changed what is written on the run."""

    name: NotRequired[str]
    note: NotRequired[str]
    pinned: NotRequired[bool]
    add: NotRequired[list[str]]
    remove: NotRequired[list[str]]


@_event
class LayerBottleneck(TypedDict):
    """What `qtha_lab.analysis` knows of one layer's circuit, as `BottleneckFacts`."""

    block: NotRequired[int | None]
    angle_std: NotRequired[float | None]
    beyond_pi: NotRequired[float | None]
    constant_part: NotRequired[float | None]
    affine_part: NotRequired[float | None]
    branch_power: NotRequired[float | None]


@_event
class BottleneckEvent(At):
    """What the circuits were fed and gave, by layer."""

    layers: dict[str, LayerBottleneck]


KINDS = {
    "status": StatusEvent,
    "note": NoteEvent,
    "train": TrainEvent,
    "eval": EvalEvent,
    "round": RoundEvent,
    "whole_base": EvalEvent,
    "test": TestEvent,
    "general": GeneralEvent,
    "generation": GenerationEvent,
    "checkpoint": At,
    "spectrum": SpectrumEvent,
    "threads": ThreadsEvent,
    "mark": AnnotationEvent,
    "bottleneck": BottleneckEvent,
}


def is_event(value: Any) -> bool:
    """Whether a value read from a line is an event as declared.

    Example:
        >>> is_event({"kind": "train", "step": 3, "loss": 2.5})
        True
        >>> is_event({"kind": "train", "step": "three", "loss": 2.5}), is_event([1])
        (False, False)
    """
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return False
    try:
        _adapter(KINDS.get(value["kind"], Event)).validate_python(value)
    except ValidationError:
        return False
    return True


@functools.cache
def _adapter(declared: type) -> TypeAdapter:
    return TypeAdapter(declared)
