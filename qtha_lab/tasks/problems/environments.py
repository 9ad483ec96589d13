"""Reinforcement-learning environments of gymnasium and MiniGrid, run as vectors of copies."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.settings import nearest

GRID = "MiniGrid-"
LARGEST_INDEX = 10  # of MiniGrid's cell encoding: object, colour, state
# thresholds that differ from gymnasium's, or that gymnasium does not define
GOALS = {"CartPole-v1": 195.0, "MiniGrid-Empty-5x5-v0": 0.9}


def environments(name: str, count: int) -> Any:
    """Make a vector environment of several copies, with flat observations.

    Example:
        >>> environments("CartPole-v2", 4)  # doctest: +SKIP
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: no environment 'CartPole-v2' in gymnasium...
    """
    check_known(name)
    import gymnasium

    has_vector = gymnasium.registry[name].vector_entry_point is not None
    mode = "vector_entry_point" if has_vector else "sync"
    options: dict[str, Any] = {} if has_vector else {"wrappers": [_as_a_row(name)]}
    vector = gymnasium.make_vec(name, num_envs=count, vectorization_mode=mode, **options)
    if not hasattr(vector.single_action_space, "n"):
        raise Refusal(
            f"The environment must have a finite set of actions, got {name!r} with "
            f"{vector.single_action_space}."
        )
    return vector


def check_known(name: str) -> None:
    """Refuse an environment name that no installed library registers."""
    libraries = ["gymnasium", *(["minigrid"] if name.startswith(GRID) else [])]
    require_extra("reproductions", f"Environment {name}", *libraries)
    registry = importlib.import_module("gymnasium").registry
    if name.startswith(GRID):
        importlib.import_module("minigrid")  # registers its environments
    if name not in registry:
        close = nearest(name, registry)
        hint = f": did you mean {close!r}?" if close else "."
        raise Refusal(f"environment must be one of gymnasium, got {name!r}{hint}")


def goal_of(name: str) -> float:
    """Return the mean reward per episode at which an environment counts as solved."""
    check_known(name)
    if name in GOALS:
        return GOALS[name]
    threshold = importlib.import_module("gymnasium").registry[name].reward_threshold
    if threshold is None:
        raise Refusal(
            f"The environment must have a reward at which it is solved, got {name!r}. Choose one "
            f"that has, such as {', '.join(GOALS)}."
        )
    return float(threshold)


def _as_a_row(name: str) -> Callable[[Any], Any]:
    """Return the wrapper that flattens an environment's observations.

    The image of a MiniGrid environment is scaled to numbers from 0 to 1.
    """
    from gymnasium import spaces, wrappers

    def grid(env: Any) -> Any:
        from minigrid.wrappers import ImgObsWrapper

        flat = wrappers.FlattenObservation(ImgObsWrapper(env))
        observations = spaces.Box(0.0, 1.0, flat.observation_space.shape)
        return wrappers.TransformObservation(
            flat, lambda numbers: numbers / LARGEST_INDEX, observations
        )

    return grid if name.startswith(GRID) else wrappers.FlattenObservation
