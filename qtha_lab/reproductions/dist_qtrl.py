"""Distributed Quantum-Train reinforcement learning: agents that share one generator of a policy's weights.

A round: the policy's weights are generated once, each of K agents plays a piece of its own episodes with them, the
gradients are averaged, and the generator takes one step. Actor and critic are one small network, as in A2C; its
weights, both heads' included, are generated. Agents are played one after the other; the paper's have a QPU each.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.func import functional_call

from qtha_lab.adapters import GeneratedNet, generate_into
from qtha_lab.problems.environments import environments
from qtha_lab.reproductions.machinery.log import Log
from qtha_lab.reproductions.machinery.registry import Claim, reproduction

ENVIRONMENT = "CartPole-v1"
SIDE_BY_SIDE = 4  # episodes an agent plays at once
PIECE = 32  # steps of a piece
DISCOUNT, VALUE_WEIGHT, ENTROPY_WEIGHT, MAX_NORM = 0.99, 0.5, 0.01, 0.5
SOLVED = 195.0
RECENT = 50  # episodes in a mean
AGENTS = {"one_agent": 1, "two_agents": 2, "more_samples": 1}
ARMS = {
    "four_agents": "generated weights, four agents, averaged gradients",
    "two_agents": "generated weights, two agents",
    "one_agent": "generated weights, one agent",
    "more_samples": "one agent that plays as much as four",
    "mlp": "the network's own weights, four agents",
    "classical": "as many classical numbers in the place of the circuit's probabilities, four agents",
    "frozen": "angles stay at their random start, four agents",
}


@reproduction(
    name="dist_qtrl",
    title="Distributed Quantum-Train reinforcement learning",
    arxiv="2412.08845",
    claim="Agents in parallel with averaged gradients speed up learning of a policy whose weights a circuit generates.",
    works="generate_into(module)",
    source="abstract; CartPole as in QTRL, arXiv:2407.06103. A2C, network 4-64-3, pieces of 32 steps, rates and the "
    "averaging of K agents into one step a round are ours [R]",
    control="the network's own weights; classical numbers for the circuit; frozen angles; one agent with as many samples",
    data="CartPole-v1",
    minutes=25,
    arms=ARMS,
    claims=[
        Claim("four_agents", "one_agent", "rounds_to_solve", "four agents need fewer rounds than one", better="lower"),
        Claim("four_agents", "two_agents", "rounds_to_solve", "four agents need fewer rounds than two", better="lower"),
        Claim("four_agents", "more_samples", "rounds_to_solve", "it is the agents, not the samples", better="lower"),
        Claim("four_agents", SOLVED, "reward", "four agents reach a reward of 195"),
        Claim("four_agents", "mlp", "reward", "generated weights end no more than 10 below the network's own", margin=10.0),
        Claim("four_agents", "classical", "reward", "the circuit ends higher than as many classical numbers"),
        Claim("four_agents", "frozen", "reward", "training the angles helps"),
    ],
    steps=(500, 60),
)  # fmt: skip
def dist_qtrl(arm: str, seed: int, quick: bool, log: Log) -> None:
    """One arm with one seed; a step is a round."""
    width = SIDE_BY_SIDE * (4 if arm == "more_samples" else 1)
    agents = [
        Agent(ENVIRONMENT, width, 1000 * seed + number) for number in range(AGENTS.get(arm, 4))
    ]
    model = policy(agents[0], arm)
    rate = 3e-3 if arm == "mlp" else 1e-2
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    solved = log.steps + 1
    for step in log.course():
        loss = round_of(model, agents, optimizer)
        reward = float(np.mean([agent.reward() for agent in agents]))
        log.train(step, loss=loss, learning_rate=rate)
        if solved > log.steps and reward >= SOLVED:
            solved = step
        if step % max(1, log.steps // 10) == 0 or step == log.steps:
            log.evaluate(step, reward=reward)
    if solved > log.steps:
        log.note(
            f"a mean reward of {SOLVED:g} was not reached: rounds_to_solve is one more than all"
        )
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    log.end(trainable_parameters=trained, learning_rate=rate, rounds_to_solve=solved)


class Agent:
    """Episodes that go on from piece to piece, and the rewards of those that ended.

    Args:
        environment: A name of gymnasium's.
        width: Episodes at once.
        seed: Of the environments and of the actions.
    """

    def __init__(self, environment: str, width: int, seed: int) -> None:
        self.envs, self.random = (
            environments(environment, width),
            torch.Generator().manual_seed(seed),
        )
        self.seen = torch.as_tensor(self.envs.reset(seed=seed)[0], dtype=torch.float32)
        self.running, self.ended = np.zeros(width), list[float]()
        self.over = np.zeros(width, bool)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers seen, and actions to choose from."""
        return self.seen.shape[1], int(self.envs.single_action_space.n)

    def reward(self) -> float:
        """Mean over the last episodes that ended; 0 before any."""
        return float(np.mean(self.ended[-RECENT:])) if self.ended else 0.0

    def play(self, model: nn.Module, weights: dict[str, Tensor]) -> Tensor:
        """A piece of all episodes with these weights; its loss of A2C.

        Args:
            model: The network.
            weights: By its names.
        """
        seen, actions, rewards, ends, counts = [], [], [], [], []
        for _ in range(PIECE):
            with torch.no_grad():
                logits = functional_call(model, weights, (self.seen,), strict=False)[:, :-1]
            action = torch.multinomial(logits.softmax(-1), 1, generator=self.random).squeeze(1)
            before = self.over  # the step after an end is a reset, and nothing was chosen
            after, reward, terminated, truncated, _ = self.envs.step(action.numpy())
            seen.append(self.seen)
            actions.append(action)
            rewards.append(torch.as_tensor(np.asarray(reward), dtype=torch.float32))
            ends.append(torch.as_tensor(terminated | truncated | before, dtype=torch.float32))
            counts.append(torch.as_tensor(~before, dtype=torch.float32))
            self._count(np.asarray(reward) * ~before, terminated | truncated)
            self.over = terminated | truncated
            self.seen = torch.as_tensor(after, dtype=torch.float32)
        return self._loss(model, weights, *map(torch.stack, (seen, actions, rewards, ends, counts)))

    def _count(self, reward: np.ndarray, over: np.ndarray) -> None:
        self.running += reward
        self.ended += [float(total) for total in self.running[over]]
        self.running[over] = 0

    def _loss(self, model, weights, seen, actions, rewards, ends, counts) -> Tensor:
        """Policy gradient with the critic as its baseline, the critic's own error, and the entropy."""
        outputs = functional_call(
            model, weights, (torch.cat([seen, self.seen[None]]),), strict=False
        )
        values, chosen = outputs[..., -1], Categorical(logits=outputs[:-1, :, :-1])
        target, targets = values[-1].detach(), []
        for reward, end in zip(rewards.flip(0), ends.flip(0), strict=True):
            target = reward + DISCOUNT * (1 - end) * target
            targets.append(target)
        gains = torch.stack(targets[::-1]) - values[:-1]
        terms = -chosen.log_prob(actions) * gains.detach() + VALUE_WEIGHT * gains.square()
        terms = terms - ENTROPY_WEIGHT * chosen.entropy()
        return (terms * counts).sum() / counts.sum()


def policy(agent: Agent, arm: str) -> nn.Module:
    """Actor and critic in one network; generated, or with its own weights."""
    n_seen, n_actions = agent.sizes
    net = nn.Sequential(nn.Linear(n_seen, 64), nn.Tanh(), nn.Linear(64, n_actions + 1))
    if arm == "mlp":
        return net
    options: dict[str, Any] = {
        "classical": {"generator": "classical"}, "frozen": {"train_generator": False},
    }.get(arm, {})  # fmt: skip
    return generate_into(net, chunk=8, **options)  # 515 weights: 65 states, 7 qubits


def round_of(model: nn.Module, agents: list[Agent], optimizer: torch.optim.Optimizer) -> float:
    """One step from the mean of the agents' gradients; the mean loss.

    Args:
        model: Generated or not.
        agents: Each plays a piece.
        optimizer: Of the model's parameters.
    """
    is_generated = isinstance(model, GeneratedNet)
    net = model.module if is_generated else model
    weights = model.weights() if is_generated else dict(model.named_parameters())
    loss = torch.stack([agent.play(net, weights) for agent in agents]).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
    optimizer.step()
    return loss.item()
