"""Environments of gymnasium, several of one kind stepped together; nothing of ours is in their dynamics."""

from __future__ import annotations

from typing import Any

from qtha_lab.errors import Refusal
from qtha_lab.settings import nearest

INSTALL = "gymnasium is not installed: pip install 'qtha-lab[agents]' brings it"


def environments(name: str, count: int) -> Any:
    """Several environments of one kind as one vector environment of gymnasium.

    Args:
        name: As gymnasium knows it, such as CartPole-v1.
        count: How many.

    Raises:
        Refusal: If there is no such environment, it has no finite set of actions, or gymnasium is not installed.

    Example:
        >>> environments("CartPole-v2", 4)  # doctest: +SKIP
        Traceback (most recent call last):
        qtha_lab.errors.Refusal: no environment 'CartPole-v2' in gymnasium: did you mean 'CartPole-v1'?
    """
    try:
        import gymnasium
    except ImportError:
        raise Refusal(INSTALL) from None
    if name not in gymnasium.registry:
        close = nearest(name, gymnasium.registry)
        hint = f": did you mean {close!r}?" if close else ""
        raise Refusal(f"no environment {name!r} in gymnasium{hint}")
    has_vector = gymnasium.registry[name].vector_entry_point is not None
    mode = "vector_entry_point" if has_vector else "sync"
    made = gymnasium.make_vec(name, num_envs=count, vectorization_mode=mode)
    if not hasattr(made.single_action_space, "n"):
        raise Refusal(
            f"environment {name!r} has no finite set of actions: {made.single_action_space}"
        )
    return made
