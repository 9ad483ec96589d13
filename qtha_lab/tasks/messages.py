"""Conversations as messages of a role and a text, and as one text."""

import functools
import json
import logging
import re
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, shortened

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = {
    "human": "user", "user": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "model": "assistant", "function_call": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip
log = logging.getLogger(__name__)
KNOWN = ("system", "user", "assistant", "tool")
MASKS = ("weight", "train", "loss")  # OpenAI, Axolotl, ms-swift
CALLS = ("tool_calls", "function_call")
FIELDS = {"role", "from", "content", "value", "tool_call_id", *CALLS, *MASKS}
NATIVE = "native"
"""Field of a message with the parts for a chat template that takes tools and calls."""
Message = dict[str, Any]
Span = tuple[int, int]
TURN = re.compile(r"\n\n(Human|Assistant):")


def read_messages(column: str, value: Any, system: Any = None, tools: Any = None) -> list[dict]:
    """Read a conversation whose answers are the assistant's.

    An answer before the first prompt, as ShareGPT's files have, is left out with a log message:
    chat templates refuse one, and it answers nothing.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parse_json(value)
    messages = [_message(each) for each in value] if isinstance(value, list) else []
    messages = _from_first_prompt(column, messages)
    if not any(message["role"] == "assistant" for message in messages[1:]):
        raise Refusal(
            f"{column} must be a list of messages with an answer by the assistant after the "
            f"first, got {shortened(value, 40)!r}."
        )
    if not any(is_learnt(message) for message in messages[1:]):
        raise Refusal(
            f"{column} must have an answer that is learnt, got weight 0 or train false for all."
        )
    return with_system(messages, system, tools)


def is_learnt(message: dict) -> bool:
    """Return True for an answer of the assistant that is not masked."""
    return message["role"] == "assistant" and not message.get("masked")


def unused_fields(column: str, value: Any) -> set[str]:
    """Return the fields of a column's messages that are not read, such as "messages.name"."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parse_json(value)
    messages = value if isinstance(value, list) else []
    read = {"tool": FIELDS | {"name"}}
    names = {
        name
        for message in messages
        if isinstance(message, dict)
        for name in message.keys() - read.get(str(message.get("role")), FIELDS)
    }
    return {f"{column}.{name}" for name in names}


def _from_first_prompt(column: str, messages: list[dict]) -> list[dict]:
    """Return messages without answers before the first message of another role than system."""
    first = next((i for i, m in enumerate(messages) if m["role"] in ("user", "tool")), 0)
    kept = [message for message in messages[:first] if message["role"] == "system"]
    if left_out := first - len(kept):
        log.debug("%s: %d answers before the first prompt are left out", column, left_out)
    return [*kept, *messages[first:]]


def with_system(messages: list[dict], system: Any, tools: Any) -> list[dict]:
    """Return messages with a system text and specifications of tools in front.

    The system message holds the tools twice: as text in its content, and under `NATIVE` for a chat
    template that takes them.
    """
    parts = [str(system)] if system else []
    if (parts or tools) and messages and messages[0]["role"] == "system":
        parts.append(messages[0]["content"])
        messages = messages[1:]
    if not (parts or tools):
        return messages
    plain = "\n\n".join(parts)
    head: Message = {"role": "system", "content": plain}
    if tools:
        text = tools if isinstance(tools, str) else json.dumps(tools, ensure_ascii=False)
        described = f"Tools:\n{text}"
        at = 1 if system else 0
        head["content"] = "\n\n".join([*parts[:at], described, *parts[at:]])
        if isinstance(specifications := _parsed(tools), list):
            head[NATIVE] = {"content": plain, "tools": specifications}
    return [head, *messages]


def read_transcript(text: str) -> list[dict]:
    """Read a transcript of turns that begin with "Human:" and "Assistant:".

    Example:
        >>> [m["content"] for m in read_transcript("\\n\\nHuman: Hi\\n\\nAssistant: Hello")]
        ['Hi', 'Hello']
    """
    _, *parts = TURN.split(text)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [{"role": ROLES[who.lower()], "content": content.strip()} for who, content in pairs]


def _message(message: Any) -> dict:
    """Read a message from the fields role and content, or from and value."""
    if not isinstance(message, dict):
        raise Refusal(f"A message must have a role and a content, got {shortened(message, 40)!r}.")
    role = message.get("role", message.get("from"))
    content = message.get("content", message.get("value"))
    calls = message.get("tool_calls") or message.get("function_call")
    if isinstance(content, list):
        content = "\n".join(map(_part, content))
    native: Message = {}
    if calls:
        each = calls if isinstance(calls, list) else [calls]
        native = {"content": content or "", "tool_calls": list(map(_native_call, each))}
        content = "\n".join([*([content] if content else []), *map(_call, each)])
    if not isinstance(role, str) or not isinstance(content, str):
        names = ", ".join(shortened(name, 40) for name in list(message)[:20]) or "none"
        raise Refusal(f"A message must have a role and a content, both text, got {names}.")
    if role not in ROLES:
        raise Refusal(f"A role must be {_or(KNOWN)}, got {shortened(role, 40)!r}.")
    if ROLES[role] == "tool":
        native = {name: message[name] for name in ("name", "tool_call_id") if message.get(name)}
    masked = {"masked": True} if ROLES[role] == "assistant" and _is_masked(message) else {}
    return {
        "role": ROLES[role],
        "content": content,
        **masked,
        **({NATIVE: native} if native else {}),
    }


def _is_masked(message: dict) -> bool:
    """Return True if a message states that it is not learnt, such as `"weight": 0`."""
    for name in MASKS:
        value = message.get(name)
        if value not in (None, 0, 1):
            raise Refusal(f"{name} must be 0 or 1, true or false, got {shortened(value, 40)!r}.")
    return any(message.get(name) == 0 for name in MASKS)


def _part(part: Any) -> str:
    """Return the text of a content part."""
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        kind = part.get("type") if isinstance(part, dict) else part
        raise Refusal(
            f"A content part must be text, got {shortened(kind, 40)!r}. Remove images and audio."
        )
    return text


def _call(call: Any) -> str:
    function = call.get("function", call) if isinstance(call, dict) else call
    return f"<tool_call>\n{json.dumps(function, ensure_ascii=False)}\n</tool_call>"


def _native_call(call: Any) -> Message:
    """Return a call as chat templates take it, with arguments as an object."""
    function = call.get("function", call) if isinstance(call, dict) else {"name": str(call)}
    if isinstance(function, dict):
        function = function | {"arguments": _parsed(function.get("arguments", {}))}
    name = {"id": call["id"]} if isinstance(call, dict) and call.get("id") else {}
    return {"type": "function", "function": function, **name}


def _parsed(value: Any) -> Any:
    """Return the content of a JSON text; other values and other texts stay."""
    try:
        return parse_json(value) if isinstance(value, str) else value
    except ValueError as error:
        log.debug("a text of a call is no JSON: %s", error)
        return value


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def render(
    messages: list[Message], tokenizer: "PreTrainedTokenizerBase", generate: bool = False
) -> str:
    """Format a conversation as text.

    Tools and calls are passed to a chat template that takes both; otherwise they are text.

    Args:
        messages: Messages with a "role" and a "content" each.
        tokenizer: Tokenizer whose chat template is used, if it has one.
        generate: Add the prefix of the next answer.
    """
    if tokenizer.chat_template:
        try:
            if any(NATIVE in message for message in messages):
                return _natively(messages, tokenizer, generate)
            return _by_template(messages, tokenizer, generate)
        except Exception as problem:  # a template is a program, which may raise anything
            roles = ", ".join(message["role"] for message in messages[:6])
            raise Refusal(
                f"The model's chat template must accept a conversation of {roles}, got "
                f"{shortened(problem, 160)}."
            ) from problem
    end = str(tokenizer.eos_token or "")
    lines = [m["content"] + (end if m["role"] == "assistant" else "") + "\n" for m in messages]
    return _start(tokenizer) + "".join(lines)


def _by_template(
    messages: list[Message],
    tokenizer: "PreTrainedTokenizerBase",
    generate: bool,
    tools: list | None = None,
) -> str:
    plain = [{name: m[name] for name in m if name not in (NATIVE, "masked")} for m in messages]
    return str(
        tokenizer.apply_chat_template(
            plain, tools=tools, tokenize=False, add_generation_prompt=generate
        )
    )


def _natively(messages: list[Message], tokenizer: "PreTrainedTokenizerBase", generate: bool) -> str:
    """Format a conversation with tools and calls by the chat template, or as text.

    A template that takes no tools or no calls, or refuses these, gets their text.
    """
    tools = next((m[NATIVE]["tools"] for m in messages if "tools" in m.get(NATIVE, ())), None)
    template = tokenizer.get_chat_template(tools=tools)
    if "tool_calls" not in template or (tools and not re.search(r"\btools\b", template)):
        return _by_template(messages, tokenizer, generate)
    whole = [
        m | {name: v for name, v in m.get(NATIVE, {}).items() if name != "tools"} for m in messages
    ]
    if tools and not whole[0]["content"]:
        whole = whole[1:]  # held tools alone
    try:
        return _by_template(whole, tokenizer, generate, tools)
    except Exception as problem:
        _warn(f"Tools are passed as text, since the chat template refuses them: {problem}")
        return _by_template(messages, tokenizer, generate)


@functools.lru_cache
def _warn(message: str) -> None:
    log.warning("%s", shortened(message, 200))


def answer_spans(
    messages: list[Message], tokenizer: "PreTrainedTokenizerBase"
) -> tuple[str, list[Span]]:
    """Return the text and the character spans of its answers, with end-of-turn tokens.

    A masked answer has no span.

    Example:
        >>> from transformers import AutoTokenizer
        >>> from qtha_lab.core.paths import data_dir
        >>> tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
        >>> turns = ("user", "Hi"), ("assistant", "Hello")
        >>> messages = [{"role": role, "content": content} for role, content in turns]
        >>> text, spans = answer_spans(messages, tokenizer)
        >>> [text[a:b] for a, b in spans]
        ['Hello<|im_end|>']
    """
    text = render(messages, tokenizer)
    spans, position = [], 0
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = render(messages[:i], tokenizer, generate=True)
        after = render(messages[: i + 1], tokenizer)
        if text.startswith(after) and after.startswith(before):
            span = len(before), len(after.rstrip())
        else:  # the template rewrites earlier turns: use the answer's text alone
            called = NATIVE in message and after.startswith(before)
            answer = after[len(before) :].rstrip() if called else message["content"]
            start = text.find(answer, position)
            span = (start, start + len(answer)) if start >= 0 else (0, 0)
        if is_learnt(message):
            spans.append(span)
        position = span[1]
    return text.rstrip(), spans


def _start(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return the beginning-of-text token if the tokenizer adds it to plain text, else ''."""
    first = tokenizer("")["input_ids"][:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""
