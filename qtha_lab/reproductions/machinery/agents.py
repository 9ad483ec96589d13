"""A2C agents that return gradients by given weights, in this process or on Ray.

An agent takes no step by itself; the caller applies its gradient. Two agents with equal seeds
return bit-identical gradients in either place.

Source:
    A2C: Mnih et al. 2016, arXiv:1602.01783, with steps in time as in its synchronous form; the mean
    of agents' gradients in one step as Dist-QTRL, arXiv:2412.08845. Lengths, rates and weights of
    the terms are ours [R].
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.func import functional_call

from qtha_lab.tasks.problems.environments import environments

SEGMENT = 32  # steps of a segment
DISCOUNT, VALUE_WEIGHT, ENTROPY_WEIGHT = 0.99, 0.5, 0.01
RECENT = 50  # episodes in a mean
Weights = Mapping[str, Tensor]
Play = Callable[[Weights], list["Segment"]]


class Segment(NamedTuple):
    """Result of an agent's segment.

    Attributes:
        loss: Loss of A2C.
        gradient: Gradient by each weight, by name.
        reward: Mean reward of the last finished episodes; 0 before any has finished.
    """

    loss: float
    gradient: dict[str, Tensor]
    reward: float


@dataclass(frozen=True)
class AgentConfig:
    """Configuration of an agent.

    Attributes:
        environment: Name of a gymnasium environment.
        width: Number of parallel episodes.
        seed: Seed of the environments and of the actions.
        net: Network: actor logits, then the critic's value. Its own weights are not used.
    """

    environment: str
    width: int
    seed: int
    net: nn.Module


class Agent:
    """Episodes that continue across segments, with the rewards of finished episodes.

    Args:
        config: Environment and network.
    """

    def __init__(self, config: AgentConfig) -> None:
        self.envs, self.net = environments(config.environment, config.width), config.net
        self.random = torch.Generator().manual_seed(config.seed)
        self.observations = torch.as_tensor(
            self.envs.reset(seed=config.seed)[0], dtype=torch.float32
        )
        self.running, self.ended = np.zeros(config.width), list[float]()
        self.over = np.zeros(config.width, bool)

    def reward(self) -> float:
        """Mean reward of the last finished episodes; 0 before any has finished."""
        return float(np.mean(self.ended[-RECENT:])) if self.ended else 0.0

    def play(self, weights: Weights) -> Segment:
        """Play one segment of all episodes with these weights."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        loss = self._loss(leaves, *self._steps(leaves))
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        return Segment(loss.item(), dict(zip(leaves, gradients, strict=True)), self.reward())

    def _steps(self, weights: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Play and return observations, actions, rewards, terminations and valid steps.

        Each has the shape (steps, episodes, …).
        """
        steps = []
        for _ in range(SEGMENT):
            with torch.no_grad():
                logits = self._outputs(weights, self.observations)[:, :-1]
            action = torch.multinomial(logits.softmax(-1), 1, generator=self.random).squeeze(1)
            counts = ~self.over  # the step after an end is a reset without a chosen action
            after, reward, terminated, truncated, _ = self.envs.step(action.numpy())
            numbers = (np.asarray(value, np.float32) for value in (reward, terminated, counts))
            steps.append((self.observations, action, *map(torch.from_numpy, numbers)))
            self.over = terminated | truncated
            self._count(np.asarray(reward) * counts, self.over)
            self.observations = torch.as_tensor(after, dtype=torch.float32)
        return tuple(map(torch.stack, zip(*steps, strict=True)))

    def _count(self, reward: np.ndarray, over: np.ndarray) -> None:
        self.running += reward
        self.ended += [float(total) for total in self.running[over]]
        self.running[over] = 0

    def _outputs(self, weights: dict[str, Tensor], observations: Tensor) -> Tensor:
        return functional_call(self.net, weights, (observations,), strict=False)

    def _loss(
        self,
        weights: dict[str, Tensor],
        observations: Tensor,
        actions: Tensor,
        rewards: Tensor,
        ends: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """Compute the policy-gradient loss with critic baseline, critic error and entropy."""
        outputs = self._outputs(weights, torch.cat([observations, self.observations[None]]))
        values, chosen = outputs[..., -1], Categorical(logits=outputs[:-1, :, :-1])
        target, targets = values[-1].detach(), []
        for step in reversed(range(SEGMENT)):
            earned = rewards[step] + DISCOUNT * (1 - ends[step]) * target
            # the critic's value of the last state replaces the return of a truncated episode
            target = torch.where(counts[step] > 0, earned, values[step].detach())
            targets.append(target)
        gains = torch.stack(targets[::-1]) - values[:-1]
        advantages = _normalised(gains.detach(), counts)
        terms = -chosen.log_prob(actions) * advantages + VALUE_WEIGHT * gains.square()
        terms = terms - ENTROPY_WEIGHT * chosen.entropy()
        return (terms * counts).sum() / counts.sum()


def _normalised(gains: Tensor, counts: Tensor) -> Tensor:
    """Shift and scale advantages of counted steps to mean 0 and variance 1."""
    counted = gains[counts > 0]
    return (gains - counted.mean()) / (counted.std() + 1e-6)


@contextlib.contextmanager
def playing(configs: list[AgentConfig], on: str) -> Iterator[Play]:
    """Provide a function that plays one segment of all agents with given weights.

    Raises:
        Refusal: If Ray is not installed, or there is no such environment.
    """
    if on == "ray":
        with _on_ray(configs) as play:
            yield play
        return
    agents = [Agent(config) for config in configs]
    yield lambda weights: [agent.play(weights) for agent in agents]


@contextlib.contextmanager
def _on_ray(configs: list[AgentConfig]) -> Iterator[Play]:
    from qtha_lab.runs.remote.on_ray import Ray

    cluster = Ray().connect()
    import ray

    remote: Any = ray.remote(num_cpus=0)(_Actor)
    actors = [remote.remote(config) for config in configs]

    def play(weights: Weights) -> list[Segment]:
        plain = ray.put({name: tensor.detach() for name, tensor in weights.items()})
        return ray.get([actor.play.remote(plain) for actor in actors])

    try:
        yield play
    finally:
        for actor in actors:
            ray.kill(actor)
        cluster.close()


class _Actor:
    """Agent in a Ray process, on one thread as in this process."""

    def __init__(self, config: AgentConfig) -> None:
        torch.set_num_threads(1)
        self.agent = Agent(config)

    def play(self, weights: Weights) -> Segment:
        return self.agent.play(weights)
