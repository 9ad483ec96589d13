"""Scores with known answers; the arithmetic stands beside each."""

import importlib.util
import math

import pytest
from support.refusals import refused

from qtha_lab.training import scores


def test_exact_match_ignores_case_punctuation_and_spaces():
    outputs = ["It is  Paris.", "paris", "“Größe!”", ""]
    references = ["it is paris", "London", "größe", "x"]
    assert scores.exact_match(outputs, references) == 2 / 4


def test_bleu_of_a_perfect_answer_is_100():
    text = "the cat sat on the mat"
    assert scores.bleu4([text], [text]) == pytest.approx(100)


def test_bleu_of_a_known_pair():
    # matches of n = 1..4: "the cat sat on a mat" against "the cat sat on the mat"
    # 5 of 6 words; 3 of 5 pairs (the cat, cat sat, sat on); 2 of 4 triples; 1 of 3 quadruples;
    # equal length
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4)
    assert scores.bleu4(["the cat sat on a mat"], ["the cat sat on the mat"]) == pytest.approx(
        expected
    )


def test_bleu_punishes_an_answer_that_is_too_short():
    # all n-grams match; brevity penalty exp(1 - 6/5)
    expected = 100 * math.exp(1 - 6 / 5)
    assert scores.bleu4(["the cat sat on the"], ["the cat sat on the mat"]) == pytest.approx(
        expected
    )


def test_rouge_of_a_known_pair():
    # output 4 words, reference 6: shared words the, cat, the, mat = 4 → P 4/4, R 4/6, F =
    # 2·1·(2/3)/(5/3) = 0.8
    # shared pairs (the cat), (the mat): P 2/3, R 2/5, F = 2·(2/3)(2/5)/(16/15) = 0.5
    # longest common subsequence the cat the mat: 4 → F 0.8
    found = scores.rouge(["the cat the mat"], ["the cat sat on the mat"])
    assert found == pytest.approx({"rouge1": 0.8, "rouge2": 0.5, "rougeL": 0.8})


def test_rouge_l_reads_order_and_rouge_1_does_not():
    # reversed words: all shared, longest common subsequence 1 of 3
    found = scores.rouge(["c b a"], ["a b c"])
    assert found["rouge1"] == pytest.approx(1)
    assert found["rougeL"] == pytest.approx(1 / 3)


def test_identical_chinese_answers_have_full_scores():
    texts = ["我觉得很难过，不知道怎么办。", "答案是42。"]
    found = scores.generation_scores(texts, texts)
    assert found == pytest.approx(
        {"exact_match": 1, "bleu4": 100, "rouge1": 1, "rouge2": 1, "rougeL": 1}
    )


def test_chinese_is_scored_by_characters():
    # 4 of 5 characters are shared, 3 of 4 pairs: P = R = F
    found = scores.rouge(["我们去北方"], ["我们去北京"])
    assert found == pytest.approx({"rouge1": 4 / 5, "rouge2": 3 / 4, "rougeL": 4 / 5})
    # matches of n = 1..4: 4 of 5, 3 of 4, 2 of 3, 1 of 2; equal length
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4)
    assert scores.bleu4(["我们去北方"], ["我们去北京"]) == pytest.approx(expected)


def test_text_without_chinese_is_scored_as_before():
    outputs, references = ["Größe 42, the cat"], ["the cat is 42"]
    rouge = scores.rouge(outputs, references)
    assert rouge == scores.rouge(outputs, references, "words")
    # the scorer reads letters a to z alone: gr, e, 42, the, cat against the, cat, is, 42
    assert rouge["rouge1"] == pytest.approx(2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4))


@pytest.mark.skipif(importlib.util.find_spec("jieba") is not None, reason="jieba is installed")
def test_words_of_chinese_without_their_segmenter_are_refused():
    with refused("unit", "words"):
        scores.generation_scores(["你好"], ["你好"], "words")


def test_words_of_chinese_are_those_of_jieba():
    pytest.importorskip("jieba")
    # two words, of which one is shared
    found = scores.rouge(["我们 学习"], ["我们 工作"], "words")
    assert found["rouge1"] == pytest.approx(1 / 2)


def test_accuracy_and_macro_f1_of_a_known_table():
    # class 0: precision 2/3, recall 1 → F 0.8; class 1: precision 1, recall 1/2 → F 2/3; class 2
    # never hit → F 0
    found = scores.classification_scores(predicted=[0, 0, 1, 0], actual=[0, 0, 1, 1])
    assert found == pytest.approx({"accuracy": 3 / 4, "macro_f1": (0.8 + 2 / 3) / 2})
    found = scores.classification_scores(predicted=[0, 0, 1, 0, 0], actual=[0, 0, 1, 1, 2])
    # class 0: precision 2/4, recall 1 → F 2/3
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert scores.perplexity(math.log(4096)) == pytest.approx(4096)
    assert scores.perplexity(1e6) == math.inf


def test_empty_answers_score_zero_and_unequal_lists_are_refused():
    found = scores.generation_scores(["", ""], ["a b", "c d"])
    assert set(found) == {"exact_match", "bleu4", "rouge1", "rouge2", "rougeL"}
    assert all(value == 0 for value in found.values())
    with refused("Each output", "1 outputs and 2 references"):
        scores.generation_scores(["a"], ["a", "b"])
