"""Schema of events by kind; a line with any other content is not an event.

Declares and validates; reads no file. Undeclared kinds and fields are accepted, so an older version
can read the log of a newer one.
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
    """Any event, with its time."""

    t: NotRequired[Seconds]
    kind: str


@_event
class At(Event):
    """Event with a step."""

    step: Step


@_event
class StatusEvent(At):
    """Start of a state, or its repetition (`again`)."""

    state: str
    message: NotRequired[str]
    again: NotRequired[bool]


@_event
class NoteEvent(At):
    """Note on the run for users."""

    message: str


@_event
class TrainEvent(At):
    """Training step."""

    loss: float | None
    learning_rate: NotRequired[float | None]
    grad_norm: NotRequired[float | None]
    seconds: NotRequired[Seconds]
    tokens: NotRequired[int | None]  # total so far, without padding
    memory_mib: NotRequired[float | None]  # after the step, counted as in the peak


@_event
class EvalEvent(At):
    """Evaluation of the model."""

    loss: float | None
    perplexity: NotRequired[float | None]
    token_accuracy: NotRequired[float | None]
    margin: NotRequired[float | None]
    pair_accuracy: NotRequired[float | None]
    accuracy: NotRequired[float | None]
    macro_f1: NotRequired[float | None]


@_event
class RoundEvent(At):
    """Federated averaging round of a server.

    `bytes_down` and `bytes_up` count this round's transfers to and from all clients.
    """

    round: Annotated[int, Field(ge=1)]
    bytes_down: Annotated[int, Field(ge=0)]
    bytes_up: Annotated[int, Field(ge=0)]


@_event
class TestEvent(EvalEvent):
    """Test of the trained model."""

    train_loss: NotRequired[float | None]


@_event
class GeneralEvent(At):
    """Evaluation of the trained model on general prose, with and without its adapter."""

    loss: float | None
    loss_base: float | None


@_event
class GenerationEvent(At):
    """Generated answers to evaluation rows, with scores."""

    exact_match: NotRequired[float | None]
    bleu4: NotRequired[float | None]
    rouge1: NotRequired[float | None]
    rouge2: NotRequired[float | None]
    rougeL: NotRequired[float | None]
    samples: NotRequired[list[dict[str, Any]]]


@_event
class LayerSpectrum(TypedDict):
    """Spectrum of one layer, from `qtha_lab.analysis.live.snapshot`."""

    singular_values: NotRequired[Values]
    effective_rank: NotRequired[float | None]
    bond_entropy_bits: NotRequired[dict[str, Values]]


@_event
class ThreadsEvent(At):
    """Change of the number of CPU threads, with a flag for concurrent runs if known."""

    count: Annotated[int, Field(ge=1)]
    side_by_side: NotRequired[bool]


@_event
class SpectrumEvent(At):
    """Singular values of the weight update, by layer."""

    layers: NotRequired[dict[str, LayerSpectrum | Values]]


@_event
class AnnotationEvent(Event):
    """Change of the run's annotations by a user."""

    name: NotRequired[str]
    note: NotRequired[str]
    pinned: NotRequired[bool]
    add: NotRequired[list[str]]
    remove: NotRequired[list[str]]


@_event
class LayerBottleneck(TypedDict):
    """Circuit inputs and outputs of one layer, with the fields of `BottleneckFacts`."""

    block: NotRequired[int | None]
    angle_std: NotRequired[float | None]
    beyond_pi: NotRequired[float | None]
    constant_part: NotRequired[float | None]
    affine_part: NotRequired[float | None]
    branch_power: NotRequired[float | None]


@_event
class BottleneckEvent(At):
    """Circuit inputs and outputs, by layer."""

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
    "annotation": AnnotationEvent,
    "bottleneck": BottleneckEvent,
}


def is_event(value: Any) -> bool:
    """Return True if a value matches the declared schema of its event kind.

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
