"""Files in the published forms of the three data sets of QTHA's paper, from a local folder.

The rows are ours; only their columns are those of the data sets.
"""

import json

import pytest
from support.refusals import refused

from qtha_lab import tasks
from qtha_lab.tasks.messages import read_messages

ROWS = 40


def dialogue(n):
    """Chinese counselling in several turns, the form of LLaMA-Factory's files."""
    return {
        "id": n,
        "instruction": f"第{n}次，我还是睡不着。",
        "input": "",
        "output": f"你已经坚持了{n}天。",
        "history": [[f"我最近很累{n}。", f"可以说说原因吗{n}？"]],
    }


def distilled(n):
    """English mathematics, the form of R1-Distill-SFT."""
    return {
        "id": str(n),
        "problem": f"What is {n} + {n}?",
        "reannotated_assistant_content": f"<think>\n{n} twice.\n</think>\n\nIt is {2 * n}.",
        "solution": str(2 * n),
        "messages": [
            {"role": "user", "content": f"What is {n} + {n}?"},
            {"role": "assistant", "content": "unused"},
        ],
        "source": "own",
        "verified": True,
    }


def chinese_reasoning(n):
    """Chinese mathematics, the form of Chinese-DeepSeek-R1-Distill-data-110k."""
    return {
        "input": f"{n}的两倍是多少？",
        "reasoning_content": f"先算{n}加{n}。",
        "content": f"答案是{2 * n}。",
        "repo_name": "own",
        "prompt_tokens_len": 5,
        "score": 10,
    }


def chinese_instructions(n):
    """The same data set in its form for fine-tuning."""
    return {
        "instruction": f"{n}的三倍？",
        "input": "",
        "output": f"<think>\n算。\n</think>\n\n{3 * n}",
    }


def folder_of(tmp_path, make, lines):
    rows = [make(n) for n in range(ROWS)]
    if lines:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (tmp_path / "train.jsonl").write_text(text, encoding="utf-8")
    else:
        (tmp_path / "data.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return str(tmp_path)


def first(folder, key):
    task = tasks.load_task(folder)
    rows = [*task.train, *task.eval, *task.test]
    assert len(rows) == ROWS
    assert task.kind == "lm"
    return task, next(row["messages"] for row in rows if key in json.dumps(row, ensure_ascii=False))


@pytest.mark.parametrize("lines", [True, False])
def test_counselling_keeps_its_earlier_turns(tmp_path, lines):
    task, messages = first(folder_of(tmp_path, dialogue, lines), "第7次")
    assert task.shape == "history and response"
    assert [m["content"] for m in messages] == [
        "我最近很累7。",
        "可以说说原因吗7？",
        "第7次，我还是睡不着。",
        "你已经坚持了7天。",
    ]
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2


def test_distilled_reasoning_ends_with_its_own_answer(tmp_path):
    task, messages = first(folder_of(tmp_path, distilled, True), "What is 7 + 7")
    assert task.shape == "reasoning and answer"
    assert messages[1]["content"] == "<think>\n7 twice.\n</think>\n\nIt is 14."


def test_reasoning_and_content_become_one_answer(tmp_path):
    _, messages = first(folder_of(tmp_path, chinese_reasoning, True), '"7的两倍')
    assert messages[0]["content"] == "7的两倍是多少？"
    assert messages[1]["content"] == "<think>\n先算7加7。\n</think>\n\n答案是14。"


def test_the_form_for_fine_tuning_is_a_question_with_its_answer(tmp_path):
    task, messages = first(folder_of(tmp_path, chinese_instructions, True), '"7的三倍')
    assert task.shape == "prompt and response"
    assert messages[1]["content"].endswith("\n\n21")


def test_a_history_of_another_form_is_refused_by_its_column(tmp_path):
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps(dialogue(n) | {"history": "none"}) + "\n" for n in range(ROWS))
    )
    with refused("train.jsonl, line 1: history", "'none'"):
        tasks.load_task(str(tmp_path))


@pytest.mark.parametrize("system", [True, False])
def test_a_conversation_that_begins_with_an_answer_loses_it(system):
    """ShareGPT's files begin with "gpt" where the page was opened in the middle."""
    head = [{"from": "system", "value": "Be brief."}] if system else []
    turns = [("gpt", "Welcome!"), ("human", "2 + 2?"), ("gpt", "4")]
    value = [*head, *({"from": who, "value": text} for who, text in turns)]
    messages = read_messages("conversations", value)
    assert [m["content"] for m in messages] == [*(["Be brief."] if system else []), "2 + 2?", "4"]
