"""Test the chat template of a model folder in a resource-limited process.

A template is a program. Jinja's sandbox denies file access, but allows endless loops and texts.
Jinja has no limit of time or memory.
"""

import functools
import json
import logging
import subprocess
import sys

from qtha_lab.core.errors import Refusal

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
