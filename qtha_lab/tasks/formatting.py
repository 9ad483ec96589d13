"""Conversations as text: the tokenizer's chat template where it has one, else a plain format.

The plain format is the messages line by line, each answer closed by the end-of-text token:
`prompt\\nresponse<eos>`. Says which characters are answer, so that only answers are learnt.
"""

from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]
Span = tuple[int, int]


def render(
    messages: list[Message], tokenizer: "PreTrainedTokenizerBase", generate: bool = False
) -> str:
    """The text of a conversation.

    Args:
        messages: With a "role" and a "content" each.
        tokenizer: Its chat template is used, if it has one.
        generate: Go on to where the next answer begins.

    Raises:
        Refusal: With the chat template's own words, if it takes no such conversation.
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
                f"the model's chat template takes no conversation of {roles}: {shortened(problem, 160)}"
            ) from problem
    end = str(tokenizer.eos_token or "")
    lines = [m["content"] + (end if m["role"] == "assistant" else "") + "\n" for m in messages]
    return _start(tokenizer) + "".join(lines)


def answer_spans(
    messages: list[Message], tokenizer: "PreTrainedTokenizerBase"
) -> tuple[str, list[Span]]:
    """The whole text and the character spans of its answers, each with its end-of-turn token.

    Example:
        >>> from transformers import AutoTokenizer
        >>> from qtha_lab.core.paths import data_dir
        >>> tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
        >>> messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
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
        else:  # a template that rewrites earlier turns: the words of the answer alone
            start = text.find(message["content"], position)
            span = (start, start + len(message["content"])) if start >= 0 else (0, 0)
        spans.append(span)
        position = span[1]
    return text.rstrip(), spans


def _start(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The beginning-of-text token, if this tokenizer puts one before plain text."""
    first = tokenizer("")["input_ids"][:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""
