"""Format conversations as text, by the tokenizer's chat template or in a plain format.

The plain format is the messages line by line, each answer closed by the end-of-text token:
`prompt\\nresponse<eos>`. The character spans of the answers restrict the loss to answers.
"""

from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.tasks.messages import is_learnt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, Any]
Span = tuple[int, int]


def render(
    messages: list[Message], tokenizer: "PreTrainedTokenizerBase", generate: bool = False
) -> str:
    """Format a conversation as text.

    Args:
        messages: Messages with a "role" and a "content" each.
        tokenizer: Tokenizer whose chat template is used, if it has one.
        generate: Add the prefix of the next answer.
    """
    if tokenizer.chat_template:
        try:
            return str(
                tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=generate
                )
            )
        except Exception as problem:  # a template is a program, which may raise anything
            roles = ", ".join(message["role"] for message in messages[:6])
            raise Refusal(
                f"The model's chat template must accept a conversation of {roles}, got "
                f"{shortened(problem, 160)}."
            ) from problem
    end = str(tokenizer.eos_token or "")
    lines = [m["content"] + (end if m["role"] == "assistant" else "") + "\n" for m in messages]
    return _start(tokenizer) + "".join(lines)


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
            start = text.find(message["content"], position)
            span = (start, start + len(message["content"])) if start >= 0 else (0, 0)
        if is_learnt(message):
            spans.append(span)
        position = span[1]
    return text.rstrip(), spans


def _start(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return the beginning-of-text token if the tokenizer adds it to plain text, else ''."""
    first = tokenizer("")["input_ids"][:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""
