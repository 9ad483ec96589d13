"""Dist-QTRL: several agents train one policy whose weights a small circuit generates.

In each round, the weights are generated once, and each of K agents plays a segment of its own
episodes with them. Each agent sends the gradient by these weights. The mean gradient is
backpropagated through the generator, which takes one step.

Actor and critic are one small network, both heads generated. Agents play one after the other, or
with `on=ray` in processes of their own, with bit-identical results. In the paper, each agent has a
QPU.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qtha_lab.adapters import GeneratedNet, generate_into
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.settings import setting
from qtha_lab.reproductions.machinery.agents import AgentConfig, Play, playing
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import Log, count_trained
from qtha_lab.tasks.problems.environments import environments, goal_of

SIDE_BY_SIDE = 4  # parallel episodes of an agent
MAX_NORM = 0.5
STATES = 128  # of the circuit of 7 qubits, one chunk of weights each
AGENTS = {"one_agent": 1, "two_agents": 2, "more_samples": 1}
RATE = 3e-3
ARMS = {
    "four_agents": "generated weights, four agents, averaged gradients",
    "two_agents": "generated weights, two agents",
    "one_agent": "generated weights, one agent",
    "more_samples": "one agent that plays as much as four",
    "mlp": "the network's own weights, four agents",
    "classical": (
        "as many classical numbers in the place of the circuit's probabilities, four agents"
    ),
    "frozen": "angles stay at their random start, four agents",
}


@dataclass(frozen=True)
class Game:
    """Environment of the agents, and the place where they run."""

    environment: str = setting(
        "MiniGrid-Empty-5x5-v0",
        "Environment of gymnasium or MiniGrid with a finite set of actions, such as CartPole-v1.",
    )
    on: str = setting(
        "here",
        "Where agents play: one after the other here, or an actor of Ray each.",
        choices=("here", "ray"),
    )


def check_game(game: Game) -> None:
    """Refuse an environment that is missing or unsupported.

    Raises:
        Refusal: With the reason.
    """
    goal_of(game.environment)
    environments(game.environment, 1).close()
    if game.on == "ray":
        require_extra("remote", "A run on Ray", "ray")


@reproduction(
    name="dist_qtrl",
    title="Distributed Quantum-Train reinforcement learning",
    arxiv="2412.08845",
    claim="Agents in parallel with averaged gradients speed up learning of a policy whose weights "
    "a circuit generates.",
    works="generate_into(module); objective=reinforce in the training of a language model",
    source="abstract; CartPole and MiniGrid-Empty-5x5 as in QTRL, arXiv:2407.06103. A2C with "
    "normalised advantages, network, segments of 32 steps, rates "
    "and the averaging of K agents into one step a round are ours [R]",
    control="the network's own weights; classical numbers for the circuit; frozen angles; one "
    "agent with as many samples",
    data="{environment}",
    minutes=25,
    arms=ARMS,
    claims=[
        PaperClaim("four_agents", "one_agent", "rounds_to_goal",
              "four agents need fewer rounds than one", better="lower", from_paper=True),
        PaperClaim("four_agents", "two_agents", "rounds_to_goal",
              "four agents need fewer rounds than two", better="lower"),
        PaperClaim("four_agents", "more_samples", "rounds_to_goal",
              "it is the agents, not the samples", better="lower"),
        PaperClaim("four_agents", 0.0, "reward_over_goal",
              "four agents end above the reward that counts as solved", better="higher"),
        PaperClaim("four_agents", "mlp", "reward_over_goal",
              "generated weights end no more than 5 % of it below the network's own",
              better="higher", margin=0.05),
        PaperClaim("four_agents", "classical", "rounds_to_goal",
              "the circuit needs fewer rounds than as many classical numbers", better="lower"),
        PaperClaim("four_agents", "frozen", "rounds_to_goal",
              "it needs fewer rounds if its angles are trained", better="lower"),
    ],
    steps=(150, 24),
    settings=Game,
    check=check_game,
    tuned=True,
)  # fmt: skip
def dist_qtrl(arm: str, seed: int, quick: bool, log: Log, settings: Game) -> None:
    """Train one arm with one seed; a step is a round.

    The evaluation loss is the share of the goal that the rewards missed, over all rounds so far.
    """
    goal = goal_of(settings.environment)
    width = SIDE_BY_SIDE * (4 if arm == "more_samples" else 1)
    model = policy(settings.environment, arm)
    net = model.module if isinstance(model, GeneratedNet) else model
    configs = [
        AgentConfig(settings.environment, width, 10_000 * seed + 100 * number, net)
        for number in range(AGENTS.get(arm, 4))
    ]
    rate = log.rate(RATE)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    reached, reward, missed = log.steps + 1, 0.0, list[float]()
    with playing(configs, settings.on) as play:
        for step in log.course():
            loss, reward = round_of(model, play, optimizer)
            log.train(step, loss=loss, learning_rate=rate)
            missed.append(max(0.0, goal - reward) / abs(goal))
            if reached > log.steps and reward >= goal:
                reached = step
            if step % max(1, log.steps // 10) == 0 or step == log.steps:
                log.evaluate(step, loss=float(np.mean(missed)), reward=reward)
    if reached > log.steps:
        log.note(f"a mean reward of {goal:g} was not reached: rounds_to_goal is one more than all")
    trained = count_trained(model)
    log.end(
        trainable_parameters=trained,
        learning_rate=rate,
        rounds_to_goal=reached,
        reward_over_goal=(reward - goal) / abs(goal),
    )


def policy(environment: str, arm: str) -> nn.Module:
    """Create actor and critic as one network, with generated or own weights."""
    envs = environments(environment, 1)
    (n_seen,), n_actions = envs.single_observation_space.shape, int(envs.single_action_space.n)
    envs.close()
    net = nn.Sequential(nn.Linear(n_seen, 64), nn.Tanh(), nn.Linear(64, n_actions + 1))
    if arm == "mlp":
        return net
    options: dict[str, Any] = {
        "classical": {"generator": "classical"},
        "frozen": {"train_generator": False},
    }.get(arm, {})
    n_weights = sum(p.numel() for p in net.parameters())
    return generate_into(net, chunk=-(-n_weights // STATES), **options)


def round_of(model: nn.Module, play: Play, optimizer: torch.optim.Optimizer) -> tuple[float, float]:
    """Apply one step with the mean of the agents' gradients.

    Returns the mean loss and the mean reward.
    """
    weights = model.weights() if isinstance(model, GeneratedNet) else dict(model.named_parameters())
    segments = play(weights)
    means = [torch.stack([p.gradient[name] for p in segments]).mean(0) for name in weights]
    optimizer.zero_grad()
    tensors: list[Tensor] = list(weights.values())
    torch.autograd.backward(tensors, means)
    nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
    optimizer.step()
    return float(np.mean([p.loss for p in segments])), float(np.mean([p.reward for p in segments]))
