"""Agents that play with weights they are given and send back the gradient of A2C in those weights, here or on Ray.

An agent learns nothing by itself: whoever has its gradient takes the step. With equal seeds two agents send equal
bits, wherever they play.

Source:
    A2C: Mnih et al. 2016, arXiv:1602.01783, with steps in time as in its synchronous form; the mean of agents'
    gradients in one step as Dist-QTRL, arXiv:2412.08845. Lengths, rates and weights of the terms are ours [R].
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

PIECE = 32  # steps of a piece
DISCOUNT, VALUE_WEIGHT, ENTROPY_WEIGHT = 0.99, 0.5, 0.01
RECENT = 50  # episodes in a mean
Weights = Mapping[str, Tensor]
Play = Callable[[Weights], list["Piece"]]


class Piece(NamedTuple):
    """What an agent sends back.

    Attributes:
        loss: Of A2C.
        gradient: In each weight, by name.
        reward: Mean over the last episodes that ended; 0 before any.
    """

    loss: float
    gradient: dict[str, Tensor]
    reward: float


@dataclass(frozen=True)
class Order:
    """What an agent is made from.

    Attributes:
        environment: A name of gymnasium's.
        width: Episodes at once.
        seed: Of the environments and of the actions.
        net: The network without weights that matter: actor's logits, then the critic's value.
    """

    environment: str
    width: int
    seed: int
    net: nn.Module


class Agent:
    """Episodes that go on from piece to piece, and the rewards of those that ended.

    Args:
        order: What is played, with which network.
    """

    def __init__(self, order: Order) -> None:
        self.envs, self.net = environments(order.environment, order.width), order.net
        self.random = torch.Generator().manual_seed(order.seed)
        self.observations = torch.as_tensor(
            self.envs.reset(seed=order.seed)[0], dtype=torch.float32
        )
        self.running, self.ended = np.zeros(order.width), list[float]()
        self.over = np.zeros(order.width, bool)

    def reward(self) -> float:
        """Mean over the last episodes that ended; 0 before any."""
        return float(np.mean(self.ended[-RECENT:])) if self.ended else 0.0

    def play(self, weights: Weights) -> Piece:
        """A piece of all episodes with these weights.

        Args:
            weights: Of the network, by its names.
        """
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        loss = self._loss(leaves, *self._steps(leaves))
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        return Piece(loss.item(), dict(zip(leaves, gradients, strict=True)), self.reward())

    def _steps(self, weights: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """What was seen, done and earned, which ends were ends, and which steps count: (steps, episodes, …)."""
        steps = []
        for _ in range(PIECE):
            with torch.no_grad():
                logits = self._outputs(weights, self.observations)[:, :-1]
            action = torch.multinomial(logits.softmax(-1), 1, generator=self.random).squeeze(1)
            counts = ~self.over  # the step after an end is a reset, and nothing was chosen
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
        self, weights: dict[str, Tensor], observations: Tensor, actions: Tensor, rewards: Tensor, ends: Tensor, counts: Tensor
    ) -> Tensor:  # fmt: skip
        """Policy gradient with the critic as its baseline, the critic's own error, and the entropy."""
        outputs = self._outputs(weights, torch.cat([observations, self.observations[None]]))
        values, chosen = outputs[..., -1], Categorical(logits=outputs[:-1, :, :-1])
        target, targets = values[-1].detach(), []
        for step in reversed(range(PIECE)):
            earned = rewards[step] + DISCOUNT * (1 - ends[step]) * target
            # an episode that was cut off is worth what the critic says of where it was
            target = torch.where(counts[step] > 0, earned, values[step].detach())
            targets.append(target)
        gains = torch.stack(targets[::-1]) - values[:-1]
        terms = -chosen.log_prob(actions) * gains.detach() + VALUE_WEIGHT * gains.square()
        terms = terms - ENTROPY_WEIGHT * chosen.entropy()
        return (terms * counts).sum() / counts.sum()


@contextlib.contextmanager
def playing(orders: list[Order], on: str) -> Iterator[Play]:
    """While open, all agents play a piece whenever they are called with weights.

    Args:
        orders: One for each agent.
        on: "here", one after the other, or "ray", an actor each.

    Raises:
        Refusal: If Ray is not installed, or there is no such environment.
    """
    if on == "ray":
        with _on_ray(orders) as play:
            yield play
        return
    agents = [Agent(order) for order in orders]
    yield lambda weights: [agent.play(weights) for agent in agents]


@contextlib.contextmanager
def _on_ray(orders: list[Order]) -> Iterator[Play]:
    from qtha_lab.runs.remote.on_ray import Ray

    cluster = Ray().connect()
    import ray

    remote: Any = ray.remote(num_cpus=0)(_Actor)
    actors = [remote.remote(order) for order in orders]

    def play(weights: Weights) -> list[Piece]:
        plain = ray.put({name: tensor.detach() for name, tensor in weights.items()})
        return ray.get([actor.play.remote(plain) for actor in actors])

    try:
        yield play
    finally:
        for actor in actors:
            ray.kill(actor)
        cluster.close()


class _Actor:
    """An agent in a process of Ray's, on one thread as it would be here."""

    def __init__(self, order: Order) -> None:
        torch.set_num_threads(1)
        self.agent = Agent(order)

    def play(self, weights: Weights) -> Piece:
        return self.agent.play(weights)
