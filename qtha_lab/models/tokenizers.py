"""Load and check the tokenizer of a model folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_file, shortened
from qtha_lab.models.catalogue import KNOWN
from qtha_lab.models.chat_templates import check_template
from qtha_lab.models.config_files import refusing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
    "*.tiktoken",
    "tekken.json",
)
SIDE_FILES = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
)
LIMIT = 2**26
"""Bytes of a tokenizer file."""
PROBE = "A model reads this text."


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Load a fast tokenizer that pads on the right."""
    from transformers import AutoTokenizer

    name = shortened(folder, 80)
    if not any(any(folder.glob(pattern)) for pattern in FILES):
        raise Refusal(
            f"{name} must have a tokenizer, got no tokenizer.json. "
            "Copy the tokenizer files of the model into the folder."
        )
    for file in (*SIDE_FILES, *FILES):
        if "*" not in file and os.path.lexists(folder / file):
            with open_file(folder / file, LIMIT):  # refuses what is no file of a limited size
                pass
    remedy = "Copy the tokenizer files of the model again."
    with refusing(f"The tokenizer of {name} must encode text", remedy):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        ids = tokenizer(PROBE)["input_ids"]
        _set_padding(tokenizer)
    if not ids or not tokenizer.is_fast:
        missing = "no tokenizer.json" if ids else "no tokens"
        raise Refusal(f"The tokenizer of {name} must be a fast one, got {missing}. {remedy}")
    if tokenizer.pad_token is None:
        raise Refusal(
            f"The tokenizer of {name} has no padding, end or unknown token. Set pad_token and "
            f"save the tokenizer again."
        )
    if folder not in {model.folder for model in KNOWN.values()}:
        templates = tokenizer.chat_template or ()
        for template in (
            templates.values() if isinstance(templates, dict) else filter(None, [templates])
        ):
            check_template(str(template), name)
    return tokenizer


def check_vocabulary(
    tokenizer: "PreTrainedTokenizerBase", model: "PreTrainedModel", name: str
) -> None:
    """Refuse a tokenizer with more tokens than the model has embeddings.

    Args:
        tokenizer: Tokenizer of the model's folder.
        model: Loaded model.
        name: Name of the model, for the message.
    """
    embeddings = model.get_input_embeddings()
    rows = getattr(embeddings, "num_embeddings", None)
    if rows is not None and len(tokenizer) > rows:
        raise Refusal(
            f"The tokenizer of {shortened(name)} must have at most {rows:,} tokens, the "
            f"embeddings of the model, got {len(tokenizer):,}. Copy both from one model, or "
            "resize the embeddings and save them."
        )


def _set_padding(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Set right padding, with a token outside the answers if one exists."""
    tokenizer.padding_side = "right"
    if (
        tokenizer.pad_token in (None, tokenizer.eos_token)
        and "<|endoftext|>" in tokenizer.get_vocab()
    ):
        tokenizer.pad_token = "<|endoftext|>"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
