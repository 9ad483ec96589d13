"""Truncate long texts before tokenization, to save time."""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

LETTERS_PER_TOKEN = 16  # for the first attempt; English has about 4
MARGIN = 64


def shorten(text: str, tokenizer: "PreTrainedTokenizerBase", max_length: int) -> str:
    """Return the text, or a prefix of it with the same first `max_length` tokens.

    A tokenizer splits a text into words first, and no token crosses a word. So the first tokens are
    final once the first token past `max_length` is in a word that ends well before the cut. A text
    without words, or with a tokenizer that makes none, is returned unchanged.
    """
    if not tokenizer.is_fast or tokenizer.truncation_side != "right":
        return text
    added = cast("PreTrainedTokenizerFast", tokenizer).get_added_vocab()
    margin = max(MARGIN, *(2 * len(token) for token in added), 0)
    size = LETTERS_PER_TOKEN * max_length + margin
    while size < len(text):
        if _is_final(tokenizer, text[:size], max_length, size - margin):
            return text[:size]
        size *= 4
    return text


def _is_final(tokenizer, beginning: str, max_length: int, end: int) -> bool:
    """Return True if the word of the first token past `max_length` ends before `end`."""
    tokens = tokenizer(beginning, add_special_tokens=False, verbose=False)
    words = tokens.word_ids()
    return len(words) > max_length and tokens.word_to_chars(words[max_length]).end <= end
