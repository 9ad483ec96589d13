"""Scores of answers and of labels; numbers from texts, no model and no torch.

Exact match, ROUGE, accuracy and macro-F1 are fractions of 1; BLEU keeps its usual scale of 0 to 100.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from qtha_lab.errors import Refusal


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
    rows = [(_words(o), _words(r)) for o, r in zip(outputs, references, strict=True)]
    scores = {
        "rouge1": [_f_measure(_shared(o, r, 1), len(o), len(r)) for o, r in rows],
        "rouge2": [_f_measure(_shared(o, r, 2), len(o) - 1, len(r) - 1) for o, r in rows],
        "rougeL": [_f_measure(_longest_common(o, r), len(o), len(r)) for o, r in rows],
    }
    return {name: sum(values) / len(rows) for name, values in scores.items()}


def _words(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", text.lower())


def _shared(output: list[str], reference: list[str], n: int) -> int:
    """Sequences of n words that both have, each as often as the one that has it less."""
    counts = [
        Counter(zip(*(words[i:] for i in range(n)), strict=False)) for words in (output, reference)
    ]
    return sum((counts[0] & counts[1]).values())


def _longest_common(output: list[str], reference: list[str]) -> int:
    """Words of the longest subsequence of both."""
    lengths = [0] * (len(reference) + 1)
    for word in output:
        before = 0
        for place, other in enumerate(reference, 1):
            longest = before + 1 if word == other else max(lengths[place], lengths[place - 1])
            before, lengths[place] = lengths[place], longest
    return lengths[-1]


def _f_measure(shared: int, n_predicted: int, n_actual: int) -> float:
    """2 P R / (P + R), with P = shared / predicted and R = shared / actual."""
    return 2 * shared / (n_predicted + n_actual) if shared else 0.0


def classification_scores(predicted: Sequence[int], actual: Sequence[int]) -> dict[str, float]:
    """Accuracy, and the F1 of each class that occurs (predicted or actual) averaged without weights."""
    n_predicted, n_actual = Counter(predicted), Counter(actual)
    right = Counter(p for p, a in zip(predicted, actual, strict=True) if p == a)
    classes = n_predicted | n_actual
    f1 = [_f_measure(right[label], n_predicted[label], n_actual[label]) for label in classes]
    return {"accuracy": right.total() / len(actual), "macro_f1": sum(f1) / len(f1)}


def perplexity(loss: float) -> float:
    """exp of the mean loss per token, so every token counts alike, whatever the length of its answer.

    (The QTHA authors' code averages exp(loss) over answers instead, which weighs short ones more.)
    """
    return math.exp(loss) if loss < 700 else math.inf
