"""Scores of answers and of labels; numbers from texts, no model and no torch.

Exact match, ROUGE, accuracy and macro-F1 are fractions of 1; BLEU keeps its usual scale of 0 to 100.
"""

from __future__ import annotations

import importlib
import math
import re
import unicodedata
from collections.abc import Sequence

from qtha_lab.core.errors import Refusal


def generation_scores(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """All scores of generated answers: exact_match, bleu4, rouge1, rouge2, rougeL.

    Raises:
        Refusal: If there are no answers, or not one reference to each.
    """
    if len(outputs) != len(references) or not references:
        raise Refusal(
            f"{len(outputs)} outputs cannot be scored against {len(references)} references"
        )
    return {
        "exact_match": exact_match(outputs, references),
        "bleu4": bleu4(outputs, references),
        **rouge(outputs, references),
    }


def normalise(text: str) -> str:
    """Lower case, no punctuation, single spaces, one Unicode form.

    Example:
        >>> normalise("  It is  Paris. ")
        'it is paris'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(" " if unicodedata.category(letter)[0] in "PS" else letter for letter in text)
    return " ".join(re.split(r"\s+", words)).strip()


def exact_match(outputs: Sequence[str], references: Sequence[str]) -> float:
    """Share of outputs that equal their reference once both are normalised."""
    hits = [normalise(o) == normalise(r) for o, r in zip(outputs, references, strict=True)]
    return sum(hits) / len(hits)


def bleu4(outputs: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU with n-grams up to 4, one reference per row, 0 to 100.

    sacrebleu's defaults: 13a tokenisation, case kept, exponential smoothing of zero counts. Not
    meant for languages written without spaces.

    Source:
        Papineni et al. 2002; Post 2018, arXiv:1804.08771.
    """
    import sacrebleu

    return sacrebleu.corpus_bleu(list(outputs), [list(references)]).score


def rouge(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Mean F-measures of ROUGE-1, ROUGE-2 and ROUGE-L over the rows.

    rouge-score's tokenisation without stemming: lower case, letters a–z and digits only, so other
    scripts score 0.

    Source:
        Lin 2004, "ROUGE: A package for automatic evaluation of summaries".
    """
    names = ("rouge1", "rouge2", "rougeL")
    return {
        name: sum(rows := rouge_by_row(outputs, references, name)) / len(rows) for name in names
    }


def rouge_by_row(outputs: Sequence[str], references: Sequence[str], name: str) -> list[float]:
    """The F-measure of one ROUGE for every row.

    Args:
        outputs: Generated answers.
        references: One for each.
        name: rouge1, rouge2 or rougeL.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name])
    return [scorer.score(r, o)[name].fmeasure for o, r in zip(outputs, references, strict=True)]


def classification_scores(predicted: Sequence[int], actual: Sequence[int]) -> dict[str, float]:
    """Accuracy, and the F1 of each class that occurs (predicted or actual) averaged without weights."""
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "accuracy": float(accuracy_score(actual, predicted)),
        "macro_f1": float(
            f1_score(
                actual,
                predicted,
                average="macro",
                zero_division=0,  # pyright: ignore[reportArgumentType]  the stub knows texts alone
            )
        ),
    }


def load_scorers(*, of_answers: bool, of_classes: bool) -> None:
    """Import the libraries that score, so that they count to the loading and not to the training's memory.

    Args:
        of_answers: Whether generated answers will be scored.
        of_classes: Whether classes will be.
    """
    names = ["sacrebleu", "rouge_score.rouge_scorer"] * of_answers + [
        "sklearn.metrics"
    ] * of_classes
    for name in names:
        importlib.import_module(name)


def perplexity(loss: float) -> float:
    """exp of the mean loss per token, so every token counts alike, whatever the length of its answer.

    (The QTHA authors' code averages exp(loss) over answers instead, which weighs short ones more.)
    """
    return math.exp(loss) if loss < 700 else math.inf
