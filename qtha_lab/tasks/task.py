"""Rows of a task by side, and their encoding with a tokenizer.

A language-modelling row is {"messages", "key"}, a classification row {"text", "label", "key"}, a
preference row {"messages", "chosen", "rejected", "key"} with messages up to the two answers. `key`
is the split key, which is on one side only.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.tasks.messages import answer_spans, is_learnt, render
from qtha_lab.tasks.splits import normalised

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


Kind = Literal["lm", "text", "classification", "regression", "preference"]
IGNORED = -100
PAIR = ("chosen", "rejected")
log = logging.getLogger(__name__)


def label_texts(row: dict) -> frozenset[str]:
    """Return the label of a row, or its unmasked answers; empty for a plain text."""
    if "label" in row:
        return frozenset([str(row["label"])])
    messages = row.get("messages", ())
    return frozenset(m["content"].strip() for m in messages if is_learnt(m))


@dataclass(frozen=True)
class Task:
    """Data set split for fine-tuning; `train`, `eval` and `test` share no key.

    Attributes:
        labels: Classes, or the ordered labels of a regression by value.
        split_key: Name of the part of a row that stands on one side only; empty for a named task.
        answers: Distinct answers of a task that generates text, where they are few.
        scale: Mean and standard deviation of the numbers of a regression; losses are squared errors
            of numbers scaled by them, so that predicting the mean has the loss 1.
        shape: Shape of the user's rows, such as "text and label"; empty for a named task.
        columns: Part of the shape and column of the data, in pairs.
        notes: Sentences on what was left aside and how labels were read; for the notes of a run.
        is_seq2seq: Whether the model is an encoder with a decoder: `encode` gives prompts as inputs
            and last answers as labels, or texts with one end token.
        key_name: Name of one key in sentences, such as "conversation".
    """

    name: str
    kind: Kind
    train: list[dict]
    eval: list[dict]
    test: list[dict]
    labels: tuple[str, ...]
    source: str
    licence: str
    split_key: str = ""
    answers: tuple[str, ...] = ()
    scale: tuple[float, float] = (0.0, 1.0)
    shape: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    is_seq2seq: bool = False
    notes: tuple[str, ...] = ()
    key_name: str = "key"

    @property
    def missing_labels(self) -> str:
        """Labels or answers that a side lacks, in one line; empty if none is missing."""
        sides = {"training": self.train, "evaluation": self.eval, "test": self.test}
        every = self.labels or self.answers
        if not every:
            return ""
        absent = {side: sorted(set(every) - _labels_of(rows)) for side, rows in sides.items()}
        return "; ".join(
            f"{side} rows lack {listed(texts)}" for side, texts in absent.items() if texts
        )

    @property
    def has_answers(self) -> bool:
        """True if rows are prompts with answers that a model can generate."""
        return self.kind in ("lm", "preference")

    @property
    def fingerprint(self) -> str:
        """Hash (sha256) of the rows of all sides in their order."""
        text = json.dumps(
            [self.kind, self.labels, self.train, self.eval, self.test], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def encode(
        self, rows: list[dict], tokenizer: "PreTrainedTokenizerBase", max_length: int
    ) -> list[dict]:
        """Encode rows as token ids, attention mask and labels, truncated at `max_length`.

        Language modelling: labels are the answers' tokens with their end-of-turn token, and -100 at
        all other positions. A row without an answer token before the cut is left out, and the log
        reports the number of such rows. Plain text: all tokens are labels, and a long text gives
        several rows. Classification: the label is its index in `labels`. Regression: the label is
        the scaled number. Preference: a row holds the chosen answer, and under "rejected" the
        rejected one; a pair without a token of both answers before the cut is left out.

        Args:
            rows: Rows of this task.
            tokenizer: Tokenizer; must be a fast one for language modelling.
            max_length: Longest row in tokens.

        Raises:
            Refusal: If no row keeps an answer token.
        """
        encoded = self._encoded(rows, tokenizer, max_length)
        left_out = len(rows) - len(encoded) if self.has_answers else 0
        if left_out and not encoded:
            raise Refusal(
                f"max_length must keep an answer token of some row of {self.name}, got "
                f"{max_length} for {len(rows)} rows."
            )
        if left_out:
            log.warning(
                "%s: %d of %d rows are left out, because no answer is within max_length=%d",
                self.name,
                left_out,
                len(rows),
                max_length,
            )
        return encoded

    def encoded_keys(
        self, rows: list[dict], tokenizer: "PreTrainedTokenizerBase", max_length: int
    ) -> list[str]:
        """Return the split key of each row that `encode` returns.

        Args:
            rows: Rows of this task.
            tokenizer: Tokenizer, as for `encode`.
            max_length: Longest row in tokens.
        """
        return [
            normalised(row["key"]) or row["key"]
            for row in rows
            for _ in self._encoded([row], tokenizer, max_length)
        ]

    def _encoded(
        self, rows: list[dict], tokenizer: "PreTrainedTokenizerBase", max_length: int
    ) -> list[dict]:
        if self.kind == "classification":
            number = {label: i for i, label in enumerate(self.labels)}
            target = lambda row: number[row["label"]]  # noqa: E731
            return _encode_texts(rows, target, tokenizer, max_length, self.is_seq2seq)
        if self.kind == "regression":
            mean, deviation = self.scale
            scaled = lambda row: (row["label"] - mean) / deviation  # noqa: E731
            return _encode_texts(rows, scaled, tokenizer, max_length, self.is_seq2seq)
        if self.kind == "text":
            return _encode_documents(rows, tokenizer, max_length)
        if self.is_seq2seq:
            return _encode_exchanges(self.prompts(rows, tokenizer), tokenizer, max_length)
        encode = _encode_pairs if self.kind == "preference" else _encode_conversations
        return encode(rows, tokenizer, max_length)

    def prompts(
        self, rows: list[dict], tokenizer: "PreTrainedTokenizerBase"
    ) -> list[tuple[str, str]]:
        """Return pairs of generation prompt and reference, the last answer.

        The prompt includes its special tokens: tokenize it with `add_special_tokens=False`.
        """
        if not self.has_answers:
            raise Refusal(
                f"{self.name} must be a task that generates answers, got a {self.kind} task."
            )
        asked = map(asked_and_answer, rows)
        return [(render(messages, tokenizer, generate=True), answer) for messages, answer in asked]


def asked_and_answer(row: dict) -> tuple[list[dict], str]:
    """Return the messages before a row's last or chosen answer, and this answer.

    Example:
        >>> asked = [{"role": "user", "content": "2 + 2?"}]
        >>> asked_and_answer({"messages": asked, "chosen": "4", "rejected": "5"})[1]
        '4'
    """
    messages = row["messages"]
    if "chosen" in row:
        return messages, row["chosen"]
    last = max(i for i, message in enumerate(messages) if is_learnt(message))
    return messages[:last], messages[last]["content"]


def _encode_pairs(
    rows: list[dict], tokenizer: "PreTrainedTokenizerBase", max_length: int
) -> list[dict]:
    """Encode preference pairs; labels are the tokens of the two answers alone."""
    encoded = []
    for row in rows:
        answers = ({"role": "assistant", "content": row[side]} for side in PAIR)
        both = [{"messages": [*row["messages"], answer]} for answer in answers]
        sides = _encode_conversations(both, tokenizer, max_length, last_alone=True)
        if len(sides) == 2:
            encoded.append(sides[0] | {"rejected": sides[1]})
    return encoded


def _encode_conversations(
    rows: list[dict],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    last_alone: bool = False,
) -> list[dict]:
    if not rows:
        return []
    texts, spans = zip(*(answer_spans(row["messages"], tokenizer) for row in rows), strict=True)
    spans = [answers[-1:] for answers in spans] if last_alone else spans
    texts = [shorten(text, tokenizer, max_length) for text in texts]
    batch = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    encoded = []
    for ids, offsets, answers in zip(
        batch["input_ids"], batch["offset_mapping"], spans, strict=True
    ):
        labels = [
            token if any(start <= first < end for start, end in answers) else IGNORED
            for token, (first, _) in zip(ids[:max_length], offsets, strict=False)
        ]
        # the first position is never predicted, so an answer token there has no loss
        if any(label != IGNORED for label in labels[1:]):
            encoded.append(
                {
                    "input_ids": ids[:max_length],
                    "attention_mask": [1] * len(labels),
                    "labels": labels,
                }
            )
    return encoded


def _encode_exchanges(
    pairs: list[tuple[str, str]], tokenizer: "PreTrainedTokenizerBase", max_length: int
) -> list[dict]:
    """Encode prompts as inputs and answers as labels, each cut at `max_length`."""
    encoded = []
    for prompt, answer in pairs:
        ids = tokenizer(prompt, truncation=True, max_length=max_length)["input_ids"]
        target = list(tokenizer(text_target=answer, verbose=False)["input_ids"])
        if tokenizer.eos_token_id is not None and target[-1:] != [tokenizer.eos_token_id]:
            target.append(tokenizer.eos_token_id)
        mask = [1] * len(ids)
        encoded.append({"input_ids": ids, "attention_mask": mask, "labels": target[:max_length]})
    return encoded


def _encode_texts(
    rows: list[dict],
    target: Callable[[dict], float],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    is_seq2seq: bool,
) -> list[dict]:
    encoded = encode_inputs(rows, tokenizer, max_length, is_seq2seq)
    return [inputs | {"labels": target(row)} for inputs, row in zip(encoded, rows, strict=True)]


def encode_inputs(
    rows: list[dict],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    is_seq2seq: bool = False,
) -> list[dict]:
    """Encode texts, or pairs of texts, for a classification head.

    A classifier on an encoder with a decoder reads the state at the end token. So each of its rows
    gets exactly one, also where the tokenizer adds none or the text contains some.
    """
    if not rows:
        return []
    whole = (whole_text(row, tokenizer, is_seq2seq) for row in rows)
    texts = [shorten(text, tokenizer, max_length) for text in whole]
    every = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    end = tokenizer.eos_token_id
    if is_seq2seq and end is not None:
        inner = ([token for token in ids if token != end] for ids in every)
        every = [[*ids[: max_length - 1], end] for ids in inner]
    return [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in every]


def whole_text(row: dict, tokenizer: "PreTrainedTokenizerBase", is_seq2seq: bool = False) -> str:
    """Return the text of a row, with a separator between the texts of a pair.

    Args:
        row: Row with a "text", and perhaps a "pair".
        tokenizer: Tokenizer, whose separator is used.
        is_seq2seq: True for a model whose rows have exactly one end token.
    """
    if "pair" not in row:
        return row["text"]
    separator = tokenizer.sep_token
    if is_seq2seq and separator == tokenizer.eos_token:  # a row has one end token
        separator = None
    return f"{row['text']}{separator or chr(10)}{row['pair']}"


def _encode_documents(
    rows: list[dict], tokenizer: "PreTrainedTokenizerBase", max_length: int
) -> list[dict]:
    """Encode plain texts in chunks of at most `max_length` tokens, each token a label."""
    if not rows:
        return []
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    batch = tokenizer([row["text"] for row in rows], verbose=False)
    encoded = []
    for ids in batch["input_ids"]:
        ids = [*ids, *(end if ids[-1:] != end else [])]
        chunks = (ids[first : first + max_length] for first in range(0, len(ids), max_length))
        encoded += [
            {"input_ids": chunk, "attention_mask": [1] * len(chunk), "labels": chunk}
            for chunk in chunks
            if len(chunk) > 1
        ]
    return encoded


def listed(texts: Sequence[str], most: int = 5) -> str:
    """Join texts in quotation marks; only the first `most` are named.

    Example:
        >>> listed(["1", "5", "7"], most=2)
        "'1', '5' and 1 more"
    """
    names = ", ".join(repr(shortened(text, 30)) for text in texts[:most])
    return names + (f" and {len(texts) - most:,} more" if len(texts) > most else "")


def _labels_of(rows: list[dict]) -> set[str]:
    return {label for row in rows for label in label_texts(row)}


@dataclass(frozen=True)
class Collate:
    """Collator that pads rows, and their cached features, on the right into a batch.

    Rejected answers of pairs are the second half of a batch. Made by `collate`.
    """

    pad_token_id: int

    def __call__(self, rows: list[dict]) -> dict[str, "Tensor"]:
        import torch

        rows = [*rows, *(row["rejected"] for row in rows if "rejected" in row)]

        def padded(name: str, value: int) -> "Tensor":
            longest = max(len(row[name]) for row in rows)
            return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])

        numbers = not isinstance(rows[0]["labels"], list)
        labels = (
            torch.tensor([row["labels"] for row in rows]) if numbers else padded("labels", IGNORED)
        )
        batch = {
            "input_ids": padded("input_ids", self.pad_token_id),
            "attention_mask": padded("attention_mask", 0),
            "labels": labels,
        }
        if "features" in rows[0]:  # of a frozen model, (d,) or (tokens, d) each
            features = [row["features"] for row in rows]
            batch["features"] = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
        return batch


def collate(tokenizer: "PreTrainedTokenizerBase") -> Collate:
    """Return the collator for a DataLoader or Trainer; padded labels are -100."""
    return Collate(cast("int", tokenizer.pad_token_id))


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
