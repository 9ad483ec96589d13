"""Half of a model: every second block of a language model, saved as a folder.

    python -m tools.half_model smollm2-135m     writes out/models/smollm2-135m-half

A second base model of the same family for measurements, since none other ships in a package. It
trains worse than a model that was pre-trained at this depth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from qtha_lab import load_model

OUT = Path(__file__).resolve().parent.parent / "out" / "models"


def halve(name: str, folder: Path) -> int:
    """Save a model without its odd blocks; return the number of blocks that are left."""
    loaded = load_model(name)
    model = loaded.model
    blocks = nn.ModuleList(list(model.model.layers)[::2])
    for number, block in enumerate(blocks):
        block.self_attn.layer_idx = number  # the position of a block in the cache
    model.model.layers = blocks
    model.config.num_hidden_layers = len(blocks)
    model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return len(blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a model of the Llama family, such as smollm2-135m")
    name = parser.parse_args().name
    folder = OUT / f"{name}-half"
    print(f"{halve(name, folder)} blocks in {folder.relative_to(OUT.parent.parent)}")


if __name__ == "__main__":
    main()
