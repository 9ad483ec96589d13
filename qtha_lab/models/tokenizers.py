"""Load the tokenizer of a model folder, and test its chat template.

A template is a program, so it runs in a resource-limited process. Jinja's sandbox denies file
access, but allows endless loops and texts. Jinja has no limit of time or memory.
"""

import functools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_file, shortened
from qtha_lab.models.catalogue import KNOWN
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


log = logging.getLogger(__name__)

SECONDS, MEBIBYTES = 2, 256
WALL_SECONDS = 60
LONGEST = 2**20
"""Characters of a conversation of a few short messages."""
TOO_MUCH = 3
MESSAGES = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "Why?"},
]
FUNCTION = {"name": "look_up", "description": "Look up.", "parameters": {}, "arguments": {}}
TOOL = {"type": "function", "id": "abcdefghi", "function": FUNCTION}
WITH_CALL = [*MESSAGES, {"role": "assistant", "content": "", "tool_calls": [TOOL]}]
RENDER = f"""
import json, os, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
    resource.setrlimit(resource.RLIMIT_AS, ({MEBIBYTES} << 20, {MEBIBYTES} << 20))
except (ImportError, ValueError):
    pass
from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
class Generation(Extension):
    tags = {{"generation"}}
    def parse(self, parser):
        next(parser.stream)
        return nodes.Scope(parser.parse_statements(["name:endgeneration"], drop_needle=True))
class Impossible(Exception):
    # raised where a constant cannot be computed, and caught by the compiler
    def __init__(self):
        if isinstance(sys.exc_info()[1], MemoryError):
            os._exit({TOO_MUCH})
nodes.Impossible = Impossible
def refuse(*words):
    raise TemplateError("refused")
request = json.load(sys.stdin)
try:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.globals.update(raise_exception=refuse, strftime_now=lambda form: form)
    template = environment.from_string(request["template"])
    for messages, tools in request["conversations"]:
        try:
            length = 0
            for part in template.generate(
                messages=messages, tools=tools, add_generation_prompt=True,
                bos_token="", eos_token=""):
                length += len(part)
                if length > {LONGEST}:
                    sys.exit({TOO_MUCH})
        except MemoryError:
            raise
        except Exception:
            pass
except MemoryError:
    sys.exit({TOO_MUCH})
except Exception:
    pass
"""


@functools.lru_cache(maxsize=16)
def check_template(template: str, folder: str) -> None:
    """Refuse a chat template that does not terminate, or that writes an endless text."""
    conversations = [
        (MESSAGES, None),
        (MESSAGES[1:], None),  # some accept no system message
        (WITH_CALL, [TOOL]),
    ]
    request = json.dumps({"template": template, "conversations": conversations})
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", RENDER],
            input=request,
            capture_output=True,
            text=True,
            timeout=WALL_SECONDS,
            check=False,
        )
        too_much = done.returncode < 0 or done.returncode == TOO_MUCH
    except subprocess.TimeoutExpired as reason:
        log.info("a chat template was stopped: %s", reason)
        too_much = True
    if too_much:
        raise Refusal(
            f"The chat template of {folder} must end within {SECONDS} s and {MEBIBYTES} MiB, got "
            "one that does not. Correct chat_template.jinja, or remove it to train without a "
            "template."
        )
