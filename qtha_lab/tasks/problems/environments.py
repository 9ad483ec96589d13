"""Reinforcement-learning environments of gymnasium and MiniGrid, run as vectors of copies."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import nearest

INSTALL = "pip install 'qtha-lab[agents]'"
GRID = "MiniGrid-"
LARGEST_INDEX = 10  # of MiniGrid's cell encoding: object, colour, state
# thresholds that differ from gymnasium's, or that gymnasium does not define
GOALS = {"CartPole-v1": 195.0, "MiniGrid-Empty-5x5-v0": 0.9}


def environments(name: str, count: int) -> Any:
    """Make a vector environment of several copies, with flat observations.

    Args:
        name: Name in gymnasium, such as CartPole-v1 or MiniGrid-Empty-5x5-v0.
        count: Number of copies.

    Raises:
        Refusal: If there is no such environment, it has no finite action set, or a library is not
            installed.

    Example:
        >>> environments("CartPole-v2", 4)  # doctest: +SKIP
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: no environment 'CartPole-v2' in gymnasium: did you mean 'CartPole-v1'?
    """
    check_known(name)
    import gymnasium

    has_vector = gymnasium.registry[name].vector_entry_point is not None
    mode = "vector_entry_point" if has_vector else "sync"
    options: dict[str, Any] = {} if has_vector else {"wrappers": [_as_a_row(name)]}
    vector = gymnasium.make_vec(name, num_envs=count, vectorization_mode=mode, **options)
    if not hasattr(vector.single_action_space, "n"):
        raise Refusal(
            f"environment {name!r} has no finite set of actions: {vector.single_action_space}"
        )
    return vector


def check_known(name: str) -> None:
    """Refuse an environment name that no installed library knows.

    Raises:
        Refusal: With the nearest name, or the command that installs the library.
    """
    libraries = ["gymnasium", *(["minigrid"] if name.startswith(GRID) else [])]
    missing = [library for library in libraries if importlib.util.find_spec(library) is None]
    if missing:
        raise Refusal(
            f"environment {name} needs {' and '.join(missing)}, not installed here: {INSTALL}"
        )
    registry = importlib.import_module("gymnasium").registry
    if name.startswith(GRID):
        importlib.import_module("minigrid")  # registers its environments
    if name not in registry:
        close = nearest(name, registry)
        hint = f": did you mean {close!r}?" if close else ""
        raise Refusal(f"no environment {name!r} in gymnasium{hint}")


def goal_of(name: str) -> float:
    """Return the mean reward per episode at which an environment counts as solved.

    Raises:
        Refusal: If no threshold is defined, or there is no such environment.
    """
    check_known(name)
    if name in GOALS:
        return GOALS[name]
    threshold = importlib.import_module("gymnasium").registry[name].reward_threshold
    if threshold is None:
        raise Refusal(
            f"environment {name!r} names no reward at which it is solved: take one that does, such as {', '.join(GOALS)}"
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
