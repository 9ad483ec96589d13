"""Scores of generated answers and class labels, computed from texts without a model.

Exact match, ROUGE, accuracy and macro-F1 are fractions of 1; BLEU has its usual scale of 0 to 100.
BLEU and ROUGE read Chinese text by characters or by words.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from qtha_lab.core.errors import Refusal

Unit = Literal["characters", "words"]
# unified ideographs with their extensions, and the compatibility ideographs
CHARACTER = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
IS_CHINESE = re.compile(CHARACTER)
TOKEN = re.compile(rf"{CHARACTER}|[a-z0-9]+")


def has_chinese(texts: Iterable[str]) -> bool:
    """Return True if any text has a Chinese character.

    Example:
        >>> has_chinese(["Paris", "你好"]), has_chinese(["Größe"])
        (True, False)
    """
    return any(IS_CHINESE.search(text) for text in texts)


class ChineseTokens:
    """Tokenizer that rouge-score accepts: characters or words of Chinese, and other words.

    Args:
        unit: "characters", or "words" as jieba finds them.

    Raises:
        Refusal: If words need jieba and it is not installed.

    Example:
        >>> ChineseTokens("characters").tokenize("我有 2 只 Cats。")
        ['我', '有', '2', '只', 'cats']
    """

    def __init__(self, unit: Unit = "characters"):
        if unit not in ("characters", "words"):
            raise Refusal(f"unit must be characters or words, got {unit!r}.")
        self.unit = unit
        self.cut: Any = None
        if unit == "words":
            if importlib.util.find_spec("jieba") is None:
                raise Refusal(
                    "unit must be characters without jieba, got words. Run `pip install jieba`."
                )
            self.cut = importlib.import_module("jieba").lcut

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text in lower case, without punctuation."""
        words = [text] if self.cut is None else self.cut(text)
        return [token for word in words for token in self._tokens(word.lower())]

    def _tokens(self, word: str) -> list[str]:
        tokens = TOKEN.findall(word)
        return ["".join(tokens)] if self.cut is not None and tokens else tokens


SCORERS = ("sacrebleu", "rouge_score")


def generation_scores(
    outputs: Sequence[str], references: Sequence[str], unit: Unit = "characters"
) -> dict[str, float]:
    """Compute all scores of generated answers: exact_match, bleu4, rouge1, rouge2, rougeL.

    BLEU and ROUGE are omitted without their packages (extra `scores`).

    Raises:
        Refusal: If there are no answers, the numbers of answers and references differ, or words
            need jieba and it is not installed.
    """
    if len(outputs) != len(references) or not references:
        raise Refusal(
            f"Each output must have a reference, got {len(outputs)} outputs and {len(references)} "
            "references."
        )
    scores = {"exact_match": exact_match(outputs, references)}
    if has_text_scorers():
        scores |= {"bleu4": bleu4(outputs, references, unit), **rouge(outputs, references, unit)}
    return scores


def normalise(text: str) -> str:
    """Normalise a text: lower case, no punctuation, single spaces, one Unicode form.

    Example:
        >>> normalise("  It is  Paris. ")
        'it is paris'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(" " if unicodedata.category(letter)[0] in "PS" else letter for letter in text)
    return " ".join(re.split(r"\s+", words)).strip()


def exact_match(outputs: Sequence[str], references: Sequence[str]) -> float:
    """Compute the fraction of outputs that equal their reference after normalisation."""
    hits = [normalise(o) == normalise(r) for o, r in zip(outputs, references, strict=True)]
    return sum(hits) / len(hits)


def bleu4(outputs: Sequence[str], references: Sequence[str], unit: Unit = "characters") -> float:
    """Compute corpus BLEU with n-grams up to 4, one reference per row, 0 to 100.

    Uses sacrebleu's defaults: 13a tokenisation, case-sensitive, exponential smoothing of zero
    counts. References with Chinese characters use its tokenisation `zh`, or the words of jieba.

    Source:
        Papineni et al. 2002; Post 2018, arXiv:1804.08771.
    """
    import sacrebleu

    if not has_chinese(references):
        return sacrebleu.corpus_bleu(list(outputs), [list(references)]).score
    if unit == "characters":
        return sacrebleu.corpus_bleu(list(outputs), [list(references)], tokenize="zh").score
    tokens = ChineseTokens(unit)
    texts = [[" ".join(tokens.tokenize(text)) for text in side] for side in (outputs, references)]
    return sacrebleu.corpus_bleu(texts[0], [texts[1]], tokenize="none").score


def rouge(
    outputs: Sequence[str], references: Sequence[str], unit: Unit = "characters"
) -> dict[str, float]:
    """Compute the mean F-measures of ROUGE-1, ROUGE-2 and ROUGE-L over the rows.

    Uses rouge-score's tokenisation without stemming: lower case, letters a–z and digits only. With
    Chinese characters in a reference, tokens are those of `ChineseTokens`.

    Source:
        Lin 2004, "ROUGE: A package for automatic evaluation of summaries".
    """
    names = ("rouge1", "rouge2", "rougeL")
    return {
        name: sum(rows := rouge_by_row(outputs, references, name, unit)) / len(rows)
        for name in names
    }


def rouge_by_row(
    outputs: Sequence[str], references: Sequence[str], name: str, unit: Unit = "characters"
) -> list[float]:
    """Compute the F-measure of one ROUGE variant for each row."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name], tokenizer=ChineseTokens(unit) if has_chinese(references) else None)
    return [scorer.score(r, o)[name].fmeasure for o, r in zip(outputs, references, strict=True)]


def classification_scores(predicted: Sequence[int], actual: Sequence[int]) -> dict[str, float]:
    """Compute accuracy and macro-F1.

    Macro-F1 is the unweighted mean F1 over all classes that occur as predicted or actual labels.
    """
    labels, truth = np.asarray(predicted), np.asarray(actual)
    f1 = [
        2
        * int(np.sum((labels == name) & (truth == name)))
        / int(np.sum(labels == name) + np.sum(truth == name))
        for name in np.union1d(labels, truth)
    ]
    return {"accuracy": float(np.mean(labels == truth)), "macro_f1": float(np.mean(f1))}


def has_text_scorers() -> bool:
    """Return True if the packages of BLEU and ROUGE are installed."""
    return all(map(importlib.util.find_spec, SCORERS))


def load_scorers() -> None:
    """Import the scorers of generated answers, whose memory is not the training's."""
    if has_text_scorers():
        for name in ("sacrebleu", "rouge_score.rouge_scorer"):
            importlib.import_module(name)


def perplexity(loss: float) -> float:
    """Compute exp of the mean loss per token.

    Every token has the same weight, independent of the answer's length. The QTHA authors' code
    averages exp(loss) over answers instead, which gives short answers more weight.
    """
    return math.exp(loss) if loss < 700 else math.inf
