"""Federated Quantum-Train: clients train weight generators, and a server averages them.

A small VGG-like network classifies 8 × 8 digits, with four clients of unequal labels (Dirichlet
0.5). All arms average by `qtha_lab.studies.federated.average`. A client's Adam restarts every round
[R]. `rounds` are the steps.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qtha_lab.adapters import generate_into
from qtha_lab.reproductions.machinery.registry import PaperClaim, reproduction
from qtha_lab.reproductions.machinery.training_loop import (
    Log,
    classifier_scores,
    count_trained,
    minimise,
)
from qtha_lab.studies.federated import average
from qtha_lab.tasks.client_shards import assign_rows
from qtha_lab.tasks.problems.digits import digits

CLIENTS = 4
LOCAL_STEPS = 5
BATCH = 32
TRAIN, EVALUATED = 600, 300
QUBITS = 8
RATES = {"cnn": 3e-3}  # of the CNN itself; the next is that of every generator
GENERATED_RATE = 1e-2
CHANCE = 0.1  # accuracy of guessing one of ten digits
ARMS = {
    "federated": "one circuit of 8 qubits for the whole network, a chunk of weights a basis state",
    "unchunked": "one weight a basis state: 14 qubits",
    "cnn": "all weights of the network are trained and sent",
    "classical": "as many classical numbers in the place of the circuit's probabilities",
    "frozen": "angles stay at their random start",
}


@reproduction(
    name="federated_qt",
    title="Federated Quantum-Train",
    arxiv="2409.02763",
    claim="With a chunk of weights per basis state 8 qubits replace 19 in federated training of a "
    "VGG-like network, with a "
    "smaller generalisation gap.",
    paper_says="8 qubits in place of 19, with a smaller generalisation gap [P]",
    works="qtha-lab federate, generate_into(module)",
    source="abstract; N = ⌈log₂⌈m/c⌉⌉ from the paper. Network, data, clients, rates and the fresh "
    "Adam of a round are ours "
    "[R]; the paper has CIFAR-10 and 19 qubits for m above 2^18, here m = 13,706 is 14",
    control="the network's own weights federated; classical numbers for the circuit; frozen angles",
    data="sklearn digits, 4 clients, Dirichlet 0.5",
    minutes=12,
    arms=ARMS,
    claims=[
        PaperClaim("federated", "unchunked", "test_accuracy",
              "8 qubits are within 1 point of one weight a state", margin=0.01,
              chance=CHANCE, from_paper=True),
        PaperClaim("federated", "cnn", "generalisation_gap",
              "the generated network has a smaller generalisation gap"),
        PaperClaim("federated", "cnn", "test_accuracy",
              "it is within 1 point of all weights trained", margin=0.01,
              chance=CHANCE),
        PaperClaim("federated", "classical", "test_accuracy",
              "the circuit does better than as many classical numbers", chance=CHANCE),
        PaperClaim("federated", "frozen", "test_accuracy", "training the angles helps",
              chance=CHANCE),
    ],
    steps=(40, 8),
    tuned=True,
)  # fmt: skip
def federated_qt(arm: str, seed: int, quick: bool, log: Log) -> None:
    """Train one arm with one seed; a step is a round."""
    data = digits(TRAIN, EVALUATED, seed)
    train, labels = images_of(data.train), data.train_labels
    names = [str(int(label)) for label in labels]
    parts = [torch.tensor(part) for part in assign_rows(names, CLIENTS, 0.5, seed)]
    model = image_network(arm)
    names_sent = [name for name, p in model.named_parameters() if p.requires_grad]
    trained = count_trained(model)
    rate = log.rate(RATES.get(arm, GENERATED_RATE))
    log.evaluate(0, **classifier_scores(model, images_of(data.eval), data.eval_labels))
    for step in log.course():
        states, losses = [], []
        for part in parts:
            client = copy.deepcopy(model)
            losses.append(local_steps(client, train[part], labels[part], rate))
            values = dict(client.named_parameters())
            states.append({name: values[name].detach() for name in names_sent})
        model.load_state_dict(average(states, [len(part) for part in parts]), strict=False)
        log.train(step, loss=sum(losses) / len(losses), learning_rate=rate)
        if step % max(1, log.steps // 10) == 0 or step == log.steps:
            log.evaluate(step, **classifier_scores(model, images_of(data.eval), data.eval_labels))
    test = classifier_scores(model, images_of(data.test), data.test_labels)
    gap_base = classifier_scores(model, train, labels)["loss"]
    log.test(test["loss"], accuracy=test["accuracy"], train_loss=gap_base)
    sent = 4 * trained * CLIENTS * (2 * log.steps - 1)
    log.end(trainable_parameters=trained, learning_rate=rate, bytes_sent=sent)


def images_of(rows: Tensor) -> Tensor:
    """Reshape rows of 64 pixels to images, (n, 1, 8, 8)."""
    return rows.reshape(-1, 1, 8, 8)


def image_network(arm: str) -> nn.Module:
    """Create the network of an arm: 13,706 weights, generated or its own."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    if arm == "cnn":
        return net
    n_weights = sum(p.numel() for p in net.parameters())
    options: dict[str, Any] = {"chunk": -(-n_weights // 2**QUBITS)}
    options |= {
        "unchunked": {"chunk": 1},
        "classical": {"generator": "classical"},
        "frozen": {"train_generator": False},
    }.get(arm, {})
    return generate_into(net, **options)


def local_steps(model: nn.Module, images: Tensor, labels: Tensor, rate: float) -> float:
    """Take the local steps of one client from the server's weights.

    Returns the mean loss.
    """

    def loss_of() -> Tensor:
        batch = torch.randint(len(images), (min(BATCH, len(images)),))
        return cross_entropy(model(images[batch]), labels[batch])

    losses = minimise(loss_of, model.parameters(), LOCAL_STEPS, rate)
    return sum(loss / LOCAL_STEPS for loss, _ in losses)
