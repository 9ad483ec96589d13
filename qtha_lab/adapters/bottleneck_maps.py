"""Maps of the bottlenecks of a trained run, as regression targets for circuits.

Loads no language model.
"""

from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftConfig

from qtha_lab.adapters.initialisation.angles.saved_tensors import SavedAdapter
from qtha_lab.adapters.initialisation.angles.surrogate import SAMPLES, Surrogate
from qtha_lab.adapters.qtha_bottleneck import Branches
from qtha_lab.core.errors import Refusal


def surrogates_of_run(name: str, seed: int = 0, samples: int = SAMPLES) -> Iterator[Surrogate]:
    """Yield the input-output map of each layer's bottleneck, on normal inputs.

    Args:
        name: Run of qtha or qtha_gradient with a non-linear bottleneck, or a folder of its adapter.
        seed: Seed of the inputs.
        samples: Number of inputs per layer.
    """
    saved = SavedAdapter.of(name)
    config: Any = PeftConfig.from_pretrained(str(saved.folder))
    if not config.peft_type.value.startswith("QTHA") or not _branches(config):
        raise Refusal(
            f"The run must have a circuit or a stand-in in its bottleneck, got {name!r}. Choose a "
            "run of qtha with use_circuit=True."
        )
    bottleneck = Branches(config, (1, 1))  # the part between A and B does not depend on them
    generator = torch.Generator().manual_seed(seed)
    for layer in saved.layers:
        tensors = {key: tensor.double() for key, tensor in saved.at(layer).items()}
        inputs = torch.randn(samples, config.r, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            yield Surrogate(inputs, bottleneck.z(tensors, inputs))


def _branches(config: Any) -> bool:
    middle = getattr(config, "middle", None)
    return config.use_circuit if middle is None else middle == "circuit"
