"""Tasks.

What is learnt is the answer alone, nothing leaks, and a reader's own data work or are refused by
line.
"""

import itertools
import json

import pytest
import torch
from support.refusals import refused
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as tokenizer_models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from qtha_lab import tasks
from qtha_lab.core.paths import data_dir
from qtha_lab.tasks.splits import in_evaluation_pool, in_pretraining_pool, in_test_pool, normalised

NAMES = tasks.task_names()
LANGUAGE = [name for name in NAMES if tasks.task_info(name).kind == "lm"]
IGNORED = -100


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")


@pytest.fixture(scope="module")
def plain_tokenizer():
    """A byte tokenizer without a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        tokenizer_models.BPE({c: i for i, c in enumerate(["<eos>", *alphabet])}, [])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<eos>")


def write(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return str(path)


def learnt(encoded, tokenizer):
    return tokenizer.decode([token for token in encoded["labels"] if token != IGNORED])


def exchange(*contents):
    return {
        "messages": [
            {"role": ("user", "assistant")[i % 2], "content": c} for i, c in enumerate(contents)
        ],
        "key": "k",
    }


# every task
# ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_task_says_what_it_is_and_where_it_comes_from(name):
    info, task = tasks.task_info(name), tasks.load_task(name, train_rows=2, eval_rows=2)
    assert all((info.summary, info.licence, info.source, info.options.__doc__))
    assert (task.name, task.kind, task.licence) == (name, info.kind, info.licence)


def sides(task):
    return task.train, task.eval, task.test


def answers(row):
    """All that is learnt of a row."""
    texts = [m["content"] for m in row.get("messages", []) if m["role"] == "assistant"]
    return {normalised(text) or text for text in texts or [row["text"]]}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", [name for name in NAMES if not tasks.task_info(name).memorised])
def test_no_row_no_key_and_no_answer_stands_on_two_sides(name, seed):
    task = tasks.load_task(name, seed=seed)
    for one, other in itertools.combinations(sides(task), 2):
        assert not {json.dumps(row) for row in one} & {json.dumps(row) for row in other}
        assert not {normalised(row["key"]) for row in one} & {
            normalised(row["key"]) for row in other
        }
        assert not set().union(*map(answers, one)) & set().union(*map(answers, other))


def test_no_question_of_qa_stands_on_two_sides():
    task = tasks.load_task("qa")
    questions = [
        {normalised(row["messages"][0]["content"]) for row in side} for side in sides(task)
    ]
    assert sum(map(len, questions)) == len(set().union(*questions))


@pytest.mark.parametrize("name", NAMES)
def test_the_evaluation_pool_is_the_same_for_every_seed(name):
    first, second = tasks.load_task(name, seed=0), tasks.load_task(name, seed=7)
    assert {row["key"] for row in first.eval} == {row["key"] for row in second.eval}
    assert all(in_evaluation_pool(row["key"]) for row in first.eval)
    assert first.eval != second.eval
    assert first.train != second.train


@pytest.mark.parametrize("name", NAMES)
def test_test_rows_are_the_same_in_the_same_order_for_every_seed(name):
    first, second = tasks.load_task(name, seed=0), tasks.load_task(name, seed=7, test_rows=20)
    assert first.test[:20] == second.test
    assert all(in_test_pool(row["key"]) for row in first.test)
    assert len(first.test) >= 100


@pytest.mark.parametrize("name", [name for name in NAMES if name != "qa"])
def test_nothing_shipped_was_read_in_pretraining(name):
    task = tasks.load_task(name)
    assert not any(in_pretraining_pool(row["key"]) for side in sides(task) for row in side)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_rows_and_fingerprint(name):
    one, same, other = (
        tasks.load_task(name, seed=s, train_rows=20, eval_rows=10) for s in (3, 3, 4)
    )
    assert (one.train, one.eval, one.fingerprint) == (same.train, same.eval, same.fingerprint)
    assert one.fingerprint != other.fingerprint
    assert (len(one.train), len(one.eval)) == (20, 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_evaluation_of_128_rows_can_be_had(name):
    assert len(tasks.load_task(name, eval_rows=128).eval) == 128


# what is learnt
# ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGE)
def test_the_loss_is_on_answers_and_their_end_alone(name, tokenizer):
    rows = tasks.load_task(name, train_rows=20).train
    for row, encoded in zip(
        rows, tasks.load_task(name).encode(rows, tokenizer, 100_000), strict=True
    ):
        answers = [m["content"] + "<|im_end|>" for m in row["messages"] if m["role"] == "assistant"]
        assert learnt(encoded, tokenizer) == "".join(answers)
        assert all(
            label in (token, IGNORED)
            for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True)
        )


def test_every_turn_of_the_assistant_is_learnt_and_no_other(tokenizer):
    row = exchange("Hi", "Hello", "Hello", "Hi there")
    encoded = tasks.load_task("chat").encode([row], tokenizer, 128)[0]
    assert learnt(encoded, tokenizer) == "Hello<|im_end|>Hi there<|im_end|>"
    assert encoded["labels"][0] == IGNORED


def test_without_a_chat_template_the_format_is_prompt_newline_response_end(plain_tokenizer):
    encoded = tasks.load_task("qa").encode(
        [exchange("What is 2 + 2?", "Four")], plain_tokenizer, 128
    )[0]
    assert plain_tokenizer.decode(encoded["input_ids"]) == "What is 2 + 2?\nFour<eos>"
    assert learnt(encoded, plain_tokenizer) == "Four<eos>"


def test_a_template_that_rewrites_earlier_turns_still_learns_answers_only(tokenizer):
    other = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    other.chat_template = (
        "{% for m in messages %}<{{ m['role'] }} {{ loop.index }} of {{ messages|length }}>{{"
        " m['content'] }}{% endfor %}"
    )
    encoded = tasks.load_task("chat").encode(
        [exchange("Hi", "Hello", "Bye", "See you")], other, 128
    )[0]
    assert learnt(encoded, other) == "HelloSee you"


def test_truncation_leaves_out_rows_without_an_answer_and_says_how_many(tokenizer, caplog):
    rows = [exchange("Hi", "Hello"), exchange("word " * 200, "Never reached")]
    encoded = tasks.load_task("qa").encode(rows, tokenizer, 40)
    assert len(encoded) == 1
    assert "1 of 2 rows are left out, because no answer is within max_length=40" in caplog.text
    with refused("max_length", "40 for 1 rows"):
        tasks.load_task("qa").encode(rows[1:], tokenizer, 40)


@pytest.mark.parametrize("max_length", [14, 20, 33])
def test_no_row_is_longer_than_asked_or_without_an_answer(tokenizer, max_length):
    task = tasks.load_task("chat", train_rows=200)
    encoded = task.encode(task.train, tokenizer, max_length)
    assert all(
        len(e["input_ids"]) == len(e["labels"]) == len(e["attention_mask"]) <= max_length
        for e in encoded
    )
    assert all(any(label != IGNORED for label in e["labels"][1:]) for e in encoded)


@pytest.mark.parametrize("name", LANGUAGE)
def test_prompt_and_reference_make_the_row_again(name, tokenizer):
    task = tasks.load_task(name, eval_rows=10)
    for (prompt, reference), encoded in zip(
        task.prompts(task.eval, tokenizer), task.encode(task.eval, tokenizer, 100_000), strict=True
    ):
        assert prompt.endswith("<|im_start|>assistant\n")
        assert tokenizer.decode(encoded["input_ids"]) == f"{prompt}{reference}<|im_end|>"
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert encoded["input_ids"][: len(ids)] == ids


def test_a_batch_is_padded_on_the_right_and_padding_is_not_learnt(tokenizer):
    task = tasks.load_task("qa")
    encoded = task.encode(
        [exchange("Hi", "Hello"), exchange("How are you doing?", "Very well, thank you")],
        tokenizer,
        128,
    )
    batch = tasks.collate(tokenizer)(encoded)
    short, long = (len(e["input_ids"]) for e in encoded)
    assert (
        batch["input_ids"].shape
        == batch["labels"].shape
        == batch["attention_mask"].shape
        == (2, long)
    )
    assert batch["input_ids"][0, short:].eq(tokenizer.pad_token_id).all()
    assert batch["labels"][0, short:].eq(IGNORED).all()
    assert batch["attention_mask"].sum(1).tolist() == [short, long]


def test_classification_labels_are_numbers_of_their_names(tokenizer):
    task = tasks.load_task("supersense", train_rows=30)
    assert len(task.labels) == 41
    encoded = task.encode(task.train, tokenizer, 12)
    assert [task.labels[e["labels"]] for e in encoded] == [row["label"] for row in task.train]
    assert max(len(e["input_ids"]) for e in encoded) <= 12
    assert tasks.collate(tokenizer)(encoded)["labels"].dtype == torch.long
    with refused("supersense", "a classification task"):
        task.prompts(task.train, tokenizer)


def test_options_choose_rows():
    assert len(tasks.load_task("supersense", part="noun").labels) == 26
    assert len(tasks.load_task("supersense", part="verb").labels) == 15
    assert {len(row["messages"]) for row in tasks.load_task("chat", turns=2).train} == {2}
    assert (
        "the verb" in tasks.load_task("definitions", part="verb").train[0]["messages"][0]["content"]
    )


# a reader's own data
# -------------------------------------------------------------------------------


def pairs(n):
    return [{"question": f"What is {i} + {i}?", "answer": f"It is {2 * i}"} for i in range(n)]


def test_texts_with_labels_are_a_classification_task(tmp_path):
    rows = [{"sentence": f"text {i}", "label": ["good", "bad"][i % 2]} for i in range(60)]
    task = tasks.load_task(write(tmp_path / "mine.jsonl", *rows))
    assert (task.kind, task.labels) == ("classification", ("bad", "good"))


def test_columns_can_be_named(tmp_path):
    rows = [{"in": f"q{i}", "out": f"a{i}"} for i in range(60)]
    path = write(tmp_path / "mine.jsonl", *rows)
    with refused("mine.jsonl, line 1: The columns", "in, out"):
        tasks.load_task(path)
    assert tasks.load_task(path, prompt="in", response="out").kind == "lm"
    with refused("mine.jsonl, line 1: A named column", "'outt'"):
        tasks.check_task(path, prompt="in", response="outt")


@pytest.mark.parametrize(
    "messages", [["hello"], [{"role": "user"}], [{"role": "user", "content": "hi"}]]
)
def test_messages_of_another_shape_are_named_by_line(tmp_path, messages):
    with refused("mine.jsonl, line 1"):
        tasks.check_task(write(tmp_path / "mine.jsonl", {"messages": messages}))


def test_a_folder_in_hugging_face_form_is_a_task(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "mine"
    folder.mkdir()
    write(folder / "train.jsonl", *pairs(100))
    write(folder / "test.jsonl", *pairs(110)[95:])
    task = tasks.load_task(str(folder))
    held_out = {row["key"] for row in task.test}
    assert held_out == {f"It is {2 * i}" for i in range(95, 110)}
    # five of the training rows stand in the test file too, so they are not trained on
    assert len(task.train) + len(task.eval) == 95
    assert not held_out & {row["key"] for row in [*task.train, *task.eval]}


def test_a_data_set_with_both_splits_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "mine"
    folder.mkdir()
    write(folder / "train.jsonl", *pairs(40))
    write(folder / "validation.jsonl", *pairs(50)[30:])
    write(folder / "test.jsonl", *pairs(60)[45:])
    train, evaluation, test = (
        {int(row["key"].split()[2]) for row in side} for side in sides(tasks.load_task(str(folder)))
    )
    assert (train, evaluation, test) == (set(range(30)), set(range(30, 45)), set(range(45, 60)))


def test_class_names_of_a_data_set_become_labels(tmp_path):
    import datasets

    names = datasets.ClassLabel(names=["calm", "wild"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    columns = {"text": [f"text {i}" for i in range(40)], "label": [i % 2 for i in range(40)]}
    columns["label"][0] = -1
    datasets.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "train.parquet")
    task = tasks.load_task(str(tmp_path))
    assert task.labels == ("calm", "wild")
    assert sum(map(len, sides(task))) == 39


def test_a_data_set_that_cannot_be_reached_is_a_sentence():
    with refused("Data set owner/nothing", "owner/nothing"):
        tasks.load_task("owner/nothing")


# refusals
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("qna", {}, "Unknown task 'qna': did you mean 'qa'"),
        ("/no/such.jsonl", {}, "/no/such.jsonl must be a file of rows"),
        ("./no-such-folder", {}, "no-such-folder must be a folder of rows"),
        ("qa", {"turns": 3}, "Task qa must have no options, got 'turns'"),
        ("chat", {"turn": 3}, "Unknown option of task chat 'turn': did you mean 'turns'"),
        ("chat", {"turns": 1}, "turns must be at least 2, got 1"),
        (
            "supersense",
            {"part": "adverb"},
            r"part must be one of all, noun, verb, got 'adverb': did you mean 'verb'\?",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_it_is(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        tasks.check_task(name, **options)
    with pytest.raises(ValueError, match=sentence):
        tasks.load_task(name, **options)


def test_too_few_rows_are_refused(tmp_path):
    with refused(value="to evaluate on and"):
        tasks.load_task(write(tmp_path / "mine.jsonl", *pairs(3)))
    with refused("train_rows", "5,000"):
        tasks.load_task("qa", train_rows=5000)
    with refused("eval_rows", "0"):
        tasks.load_task("qa", eval_rows=0)
    with refused("empty.jsonl", rule="no rows"):
        tasks.load_task(write(tmp_path / "empty.jsonl"))
    with refused(value="'x' alone"):
        tasks.load_task(
            write(tmp_path / "one.jsonl", *({"text": f"t{i}", "label": "x"} for i in range(40)))
        )
