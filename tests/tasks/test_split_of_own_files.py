"""A user's own file is split by prompt, conversation or text, and each frequent answer is on every
side.
"""

import json
import random
import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab import tasks
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment, Training
from qtha_lab.runs.launch import launch
from qtha_lab.studies.comparison.notes import notes
from qtha_lab.tasks.splits import cover, first_rows, normalised
from qtha_lab.tasks.task import label_texts

WORDS = ["good", "bad", "slow", "quick", "warm", "cold", "new", "old", "loud", "quiet"]
ONE_FOLDER = [HealthCheck.function_scoped_fixture]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def sides(task):
    return task.train, task.eval, task.test


def answers_by_side(task):
    return [{text for row in side for text in label_texts(row)} for side in sides(task)]


def prompts_by_side(task):
    return [
        {normalised(m["content"]) for row in side for m in row["messages"] if m["role"] == "user"}
        for side in sides(task)
    ]


def reviews(count, answers):
    """Prompts that are all different, with answers that repeat."""
    words = random.Random(0)
    return [
        {
            "prompt": f"Review {i}: {' '.join(words.choices(WORDS, k=6))}",
            "response": answers[i % len(answers)],
        }
        for i in range(count)
    ]


@pytest.mark.parametrize(
    "answers",
    [list("12345"), ["yes", "no"], ["positive", "neutral", "negative"], ["C", "C++", "C#"]],
    ids="-".join,
)
def test_a_file_with_few_answers_has_every_answer_on_every_side(tmp_path, answers):
    task = tasks.load_task(write(tmp_path / "mine.jsonl", reviews(600, answers)))
    assert task.split_key == "prompt"
    assert answers_by_side(task) == [set(answers)] * 3
    assert task.missing_labels == ""
    sizes = list(map(len, sides(task)))
    assert sum(sizes) == 600
    assert all(80 <= size <= 160 for size in sizes[1:])


def test_a_number_as_answer_is_split_by_prompt_too(tmp_path):
    rows = [{"prompt": f"Review {i}", "response": i % 5 + 1} for i in range(600)]
    assert (
        answers_by_side(tasks.load_task(write(tmp_path / "mine.jsonl", rows))) == [set("12345")] * 3
    )


def test_an_alpaca_file_with_label_outputs_is_split_by_its_whole_prompt(tmp_path):
    rows = [
        {"instruction": "Sort the review.", "input": r["prompt"], "output": r["response"]}
        for r in reviews(300, ["positive", "negative"])
    ]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert task.split_key == "prompt"
    assert answers_by_side(task) == [{"positive", "negative"}] * 3


def test_a_file_whose_answers_hardly_repeat_is_split_by_answer_and_no_prompt_leaks(tmp_path):
    rows = [{"prompt": f"What is {i}?", "response": f"The number {i}"} for i in range(300)]
    rows += [{"prompt": f"What is {i}?", "response": f"Another {i}"} for i in range(5)]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert task.split_key == "prompt"  # five prompts have two answers
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows[:300]))
    assert task.split_key == "answer"


def test_one_prompt_with_many_answers_is_split_by_row(tmp_path):
    rows = [{"prompt": "Tell a joke.", "response": f"Joke {i}"} for i in range(200)]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert (task.split_key, sum(map(len, sides(task)))) == ("row", 200)
    train, evaluation, test = answers_by_side(task)
    assert not train & evaluation | train & test | evaluation & test


def test_repeated_prompts_with_different_answers_stay_on_one_side(tmp_path):
    rows = [{"prompt": f"Q {i // 5}", "response": f"A {i}"} for i in range(600)]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert task.split_key == "prompt"
    train, evaluation, test = prompts_by_side(task)
    assert not train & evaluation | train & test | evaluation & test


def test_conversations_that_share_a_system_message_are_split_by_their_first_user_message(tmp_path):
    rows = [
        {"messages": [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": f"Question {i}"},
            {"role": "assistant", "content": f"Answer {i % 40}"},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": f"Because of {i}"},
        ]}
        for i in range(300)
    ]  # fmt: skip
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert task.split_key == "first user message"
    assert sum(map(len, sides(task))) == 300
    keys = [{row["key"] for row in side} for side in sides(task)]
    assert all(key.startswith("Question") for side in keys for key in side)
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]


def test_conversations_that_all_begin_alike_are_split_whole(tmp_path):
    rows = [
        {"messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": f"Question {i}"},
            {"role": "assistant", "content": f"Answer {i}"},
        ]}
        for i in range(200)
    ]  # fmt: skip
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert (task.split_key, min(map(len, sides(task))) > 20) == ("conversation", True)


def test_a_thread_is_the_key_where_rows_have_one(tmp_path):
    rows = [
        {
            "thread": i // 4,
            "messages": [
                {"role": "user", "content": f"Question {i}"},
                {"role": "assistant", "content": f"Answer {i}"},
            ],
        }
        for i in range(200)
    ]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert task.split_key == "thread"
    assert all(len(side) % 4 == 0 for side in sides(task))


def test_a_rare_label_is_kept_where_a_side_is_cut_short(tmp_path):
    rows = [
        {"text": f"text {i}", "label": "rare" if i % 100 == 0 else "ab"[i % 2]} for i in range(600)
    ]
    path = write(tmp_path / "mine.jsonl", rows)
    for seed in range(4):
        task = tasks.load_task(path, seed=seed, train_rows=20, eval_rows=8, test_rows=8)
        assert list(map(len, sides(task))) == [20, 8, 8]
        assert answers_by_side(task) == [{"rare", "a", "b"}] * 3


def test_a_label_of_two_texts_is_named_as_missing(tmp_path):
    rows = [{"text": f"text {i}", "label": "rare" if i < 2 else "ab"[i % 2]} for i in range(100)]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", rows))
    assert task.missing_labels.count("'rare'") == 1
    assert task.missing_labels.endswith("rows lack 'rare'")


def test_too_few_rows_name_the_split_key(tmp_path):
    with refused(remedy="one row in five is held out"):
        tasks.load_task(write(tmp_path / "mine.jsonl", reviews(5, ["yes", "no"])))


# what holds of any file
# ----------------------------------------------------------------------------

labels = st.lists(st.sampled_from(["yes", "no", "maybe", "3", "é"]), min_size=12, max_size=120)


@given(labels=labels, repeats=st.integers(1, 3), kind=st.sampled_from(["lm", "classification"]))
@settings(deadline=None, max_examples=60, suppress_health_check=ONE_FOLDER)
def test_no_key_is_on_two_sides_and_each_label_of_three_keys_is_on_every_side(
    tmp_path, labels, repeats, kind
):
    names = ("prompt", "response") if kind == "lm" else ("text", "label")
    rows = [dict(zip(names, (f"Row {i}", label), strict=True)) for i, label in enumerate(labels)]
    path = write(tmp_path / "mine.jsonl", rows * repeats)
    try:
        task = tasks.load_task(path)
    except Refusal as reason:
        assume(not re.search("rows or more per side|must have two labels", str(reason)))
        raise
    keys = [{normalised(row["key"]) for row in side} for side in sides(task)]
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]
    if task.labels or task.answers:
        for label, count in Counter(labels).items():
            assert count < 3 or all(label in side for side in answers_by_side(task))
    assert tasks.load_task(path).fingerprint == task.fingerprint


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.tuples(st.integers(0, 2), st.frozensets(st.sampled_from("xyz"), min_size=1)),
        min_size=1,
    ),
    st.randoms(),
)
def test_covering_never_takes_a_label_from_a_side_and_no_order_matters(keys, order):
    before = {key: side for key, (side, _) in keys.items()}
    of = {key: labels for key, (_, labels) in keys.items()}
    after = cover(before, of)
    places = lambda sides: {(label, side) for key, side in sides.items() for label in of[key]}  # noqa: E731
    assert places(before) <= places(after)
    shuffled = list(before)
    order.shuffle(shuffled)
    assert cover({key: before[key] for key in shuffled}, of) == after


@given(st.lists(st.sampled_from("abcd")), st.integers(0, 12))
def test_the_first_rows_hold_as_many_labels_as_they_can(letters, count):
    rows = [{"label": letter} for letter in letters]
    chosen = first_rows(rows, count, label_texts)
    assert len(chosen) == min(count, len(rows))
    assert len({row["label"] for row in chosen}) == min(len(chosen), len(set(letters)))
    assert not Counter(row["label"] for row in chosen) - Counter(letters)


# what a reader is told
# -----------------------------------------------------------------------------


def test_a_comparison_names_the_split_key_and_the_missing_labels():
    run = {
        "label": "lora",
        "method": "lora",
        "seed": 0,
        "state": "finished",
        "trainable_parameters": 1,
        "learning_rate": 0.1,
        "split_key": "prompt",
        "missing_labels": "training rows lack '5'",
    }
    said = " ".join(notes([run, run | {"seed": 1}], expected=2))
    assert said.count("Rows are split by prompt: no prompt stands on two sides.") == 1
    assert said.count("training rows lack '5'") == 1
    assert "split by" not in " ".join(notes([run | {"split_key": "", "missing_labels": ""}], 1))


@pytest.mark.slow
def test_a_run_records_its_split_key_and_what_a_side_lacks(tmp_path):
    rows = [{"text": f"text {i}", "label": "rare" if i < 2 else "ab"[i % 2]} for i in range(60)]
    path = write(tmp_path / "mine.jsonl", [row | {"source": "web"} for row in rows])
    training = Training(steps=1, eval_rows=4, test_rows=4, batch_size=2, max_length=16)
    run = launch(Experiment(task=path, method="lora(r=1)", training=training), tmp_path / "runs")
    assert run.wait().state == "finished", run.status().message
    summary = run.summary or {}
    assert summary["split_key"] == "text"
    assert "'rare'" in summary["missing_labels"]
    events = run.files.events.read_text()
    assert "rows of mine.jsonl are split by text" in events
    assert "Columns that are not used: source." in events
    assert json.loads(run.files.environment.read_text())["task"]["split_key"] == "text"
