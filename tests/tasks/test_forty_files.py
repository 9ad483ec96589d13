"""Forty ordinary files: each has the stated kind and trains, or is refused in one sentence."""

import copy
import csv
import gzip
import io
import json
from collections.abc import Callable

import pandas as pd
import pytest
import torch
from support.refusals import refused
from transformers import AutoTokenizer

from qtha_lab import tasks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.tasks.messages import answer_spans
from qtha_lab.tasks.splits import normalised
from qtha_lab.tasks.task import whole_text

COUNT = 60
WORDS = ["river", "engine", "violin", "harbour", "lantern", "meadow", "compass", "orchard"]


def sentence(i: int) -> str:
    return f"The {WORDS[i % 8]} number {i} stands near the {WORDS[(i // 8) % 8]}."


def jsonl(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows, delimiter=",", encoding="utf-8") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def parquet(rows) -> bytes:
    content = io.BytesIO()
    pd.DataFrame(rows).to_parquet(content)
    return content.getvalue()


def rows_of(make: Callable[[int], dict]) -> list[dict]:
    return [make(i) for i in range(COUNT)]


def talk(i, user="user", assistant="assistant", role="role", content="content"):
    return [{role: user, content: sentence(i)}, {role: assistant, content: f"It is {i}."}]


QUESTIONS = rows_of(lambda i: {"question": sentence(i), "answer": f"It is {i}."})
LABELLED = rows_of(lambda i: {"text": sentence(i), "label": ["good", "bad"][i % 2]})
STARS = rows_of(lambda i: {"review": sentence(i), "stars": i % 5 + 1})
PRICES = rows_of(lambda i: {"text": sentence(i), "label": 100_000 + 12.5 * i})
NLI = rows_of(
    lambda i: {
        "premise": sentence(i // 3),
        "hypothesis": f"Claim {i}.",
        "label": ["entailment", "neutral", "contradiction"][i % 3],
    }
)
ALPACA = rows_of(
    lambda i: {"instruction": "Name the thing.", "input": sentence(i), "output": f"Thing {i}"}
)
BOOLQ = rows_of(lambda i: {"question": f"is it {i}", "answer": i % 2 == 0, "passage": sentence(i)})
CHOICES = rows_of(
    lambda i: {
        "question": sentence(i),
        "choices": ["red", "green", "blue", "grey"],
        "answer": i % 4,
    }
)
ARC = rows_of(
    lambda i: {
        "question": sentence(i),
        "choices": {"text": ["red", "green", "blue"], "label": ["A", "B", "C"]},
        "answerKey": "ABC"[i % 3],
    }
)
SQUAD = rows_of(
    lambda i: {
        "context": sentence(i),
        "question": f"Which number is it, {i}?",
        "answers": {"text": [str(i)], "answer_start": [4]},
    }
)
PREFERENCES = rows_of(lambda i: {"prompt": sentence(i), "chosen": "yes", "rejected": "no"})
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
CALLS = [{"function": {"name": "look_up", "arguments": '{"word": "river"}'}}]


def tool_row(i):
    messages = [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": sentence(i)},
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "content": "found"},
        {"role": "assistant", "content": f"It is {i}."},
    ]
    return {"messages": messages, "tools": TOOLS}


def parts_row(i):
    parts = [{"type": "text", "text": sentence(i)}, {"type": "text", "text": "Why?"}]
    answer = {"role": "assistant", "content": [{"type": "text", "text": f"Because {i}."}]}
    return {"messages": [{"role": "user", "content": parts}, answer]}


def image_row(i):
    parts = [{"type": "image_url", "image_url": {"url": "x"}}]
    return {"messages": [{"role": "user", "content": parts}, *talk(i)[1:]]}


PROSE = "\n\n".join(f"{sentence(i)} {sentence(i + 1)}" for i in range(COUNT)).encode()
WORKS = {
    # file name: content, kind, shape, split key, first columns
    "questions.csv": (table(QUESTIONS), "lm", "prompt and response", "answer"),
    "questions.tsv": (table(QUESTIONS, "\t"), "lm", "prompt and response", "answer"),
    "questions.json": (json.dumps(QUESTIONS).encode(), "lm", "prompt and response", "answer"),
    "lines.json": (jsonl(QUESTIONS), "lm", "prompt and response", "answer"),
    "nested.json": (
        json.dumps({"data": QUESTIONS}).encode(),
        "lm",
        "prompt and response",
        "answer",
    ),
    "questions.jsonl": (jsonl(QUESTIONS), "lm", "prompt and response", "answer"),
    "questions.jsonl.gz": (gzip.compress(jsonl(QUESTIONS)), "lm", "prompt and response", "answer"),
    "questions.csv.gz": (gzip.compress(table(QUESTIONS)), "lm", "prompt and response", "answer"),
    "questions.parquet": (parquet(QUESTIONS), "lm", "prompt and response", "answer"),
    "excel.csv": (b"\xef\xbb\xbf" + table(QUESTIONS, ";"), "lm", "prompt and response", "answer"),
    "excel_sep.csv": (b"sep=;\r\n" + table(QUESTIONS, ";"), "lm", "prompt and response", "answer"),
    "unicode.csv": (table(QUESTIONS, "\t", "utf-16"), "lm", "prompt and response", "answer"),
    "alpaca.json": (json.dumps(ALPACA).encode(), "lm", "prompt and response", "answer"),
    "alpaca_labels.jsonl": (
        jsonl(row | {"output": ["spam", "ham"][i % 2]} for i, row in enumerate(ALPACA)),
        "lm",
        "prompt and response",
        "prompt",
    ),
    "sharegpt.json": (
        json.dumps(
            rows_of(lambda i: {"conversations": talk(i, "human", "gpt", "from", "value")})
        ).encode(),
        "lm",
        "messages",
        "answer",
    ),
    "openai.jsonl": (jsonl(rows_of(lambda i: {"messages": talk(i)})), "lm", "messages", "answer"),
    "tools.jsonl": (jsonl(rows_of(tool_row)), "lm", "messages", "first user message"),
    "content_parts.jsonl": (jsonl(rows_of(parts_row)), "lm", "messages", "answer"),
    "preferences.jsonl": (jsonl(PREFERENCES), "preference", "preference pairs", "prompt"),
    "labels.csv": (table(LABELLED), "classification", "text and label", "text"),
    "labels.parquet": (parquet(LABELLED), "classification", "text and label", "text"),
    "nli.jsonl": (jsonl(NLI), "classification", "sentence pairs", "first text"),
    "boolq.jsonl": (jsonl(BOOLQ), "classification", "yes or no", "first text"),
    "mmlu.jsonl": (jsonl(CHOICES), "lm", "multiple choice", "prompt"),
    "arc.jsonl": (jsonl(ARC), "lm", "multiple choice", "prompt"),
    "squad.jsonl": (jsonl(SQUAD), "lm", "prompt and response", "answer"),
    "stars.csv": (table(STARS), "regression", "text and label", "text"),
    "prices.csv": (table(PRICES), "regression", "text and label", "text"),
    "prose.txt": (PROSE, "text", "plain text", "text"),
    "texts.csv": (table([{"text": r["text"]} for r in LABELLED]), "text", "plain text", "text"),
}
BAD = {
    # file name: content, parts of the refusal
    "sheet.xlsx": (b"PK\x03\x04" + b"\0" * 40, "sheet.xlsx must be a file of rows", "Save it"),
    "sheet.csv": (
        b"PK\x03\x04" + b"\0" * 40,
        "sheet.csv must be text, got a spreadsheet",
        "CSV UTF-8",
    ),
    "windows.csv": (
        table(QUESTIONS).replace(b"number 3 ", b"caf\xe9 3 "),
        "windows.csv, line 5: text must be UTF-8",
        "Save the file as UTF-8",
    ),
    "broken.csv": (
        table(QUESTIONS) + b"a,b,c\r\n",
        "broken.csv, line 62: a row must have 2 columns, got 3",
        "Quote",
    ),
    "twice.csv": (
        b"text,text\r\na,b\r\n",
        "twice.csv, line 1: names of columns must be different",
        "again",
    ),
    "unknown.csv": (
        table([{"frage": "a", "antwort": "b"}] * 20),
        "unknown.csv, line 2: The columns must be of a known shape",
        "Name them, such as prompt=COLUMN",
    ),
    "gap.csv": (
        table([*LABELLED, {"text": "x", "label": ""}]),
        "gap.csv, line 62: label must not be missing or empty",
        "",
    ),
    "single.csv": (
        table([r | {"label": "same"} for r in LABELLED]),
        "must have two labels or more",
        "alone",
    ),
    "broken.json": (b'[{"text": "a", ', "broken.json: The text must be JSON", "line 1"),
    "empty.csv": (b"text,label\r\n", "empty.csv has", "no rows"),
    "broken.parquet": (b"PAR1nonsense", "broken.parquet must be a Parquet file", "Write it again"),
    "broken.jsonl.gz": (
        b"\x1f\x8bnonsense",
        "broken.jsonl.gz must be a gzip file",
        "Pack it again",
    ),
    "images.jsonl": (
        jsonl(rows_of(image_row)),
        "images.jsonl, line 1: A content part must be text, got 'image_url'",
        "Remove images",
    ),
}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")


def test_at_least_forty_files_are_listed():
    assert len(WORKS) + len(BAD) >= 40


@pytest.mark.parametrize("name", WORKS)
def test_an_ordinary_file_has_its_kind_and_gives_batches(name, tmp_path, tokenizer):
    content, kind, shape, key = WORKS[name]
    (tmp_path / name).write_bytes(content)
    tasks.check_task(str(tmp_path / name))
    task = tasks.load_task(str(tmp_path / name))
    assert (task.kind, task.shape, task.split_key) == (kind, shape, key)
    keys = [{normalised(row["key"]) for row in side} for side in (task.train, task.eval, task.test)]
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]
    assert sum(map(len, (task.train, task.eval, task.test))) >= COUNT - 10
    batch = tasks.collate(tokenizer)(task.encode(task.train[:4], tokenizer, 128))
    labels = batch["labels"]
    assert labels.is_floating_point() == (kind == "regression")
    assert labels.dim() == (1 if kind in ("classification", "regression") else 2)
    if kind in ("lm", "text"):
        assert (labels != -100).any(1).all()


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_means_nothing_is_refused_in_one_sentence(name, tmp_path):
    content, rule, remedy = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal) as record:
        tasks.load_task(str(tmp_path / name))
    message = str(record.value)
    assert rule in message
    assert remedy in message
    assert name in message
    assert "\n" not in message
    assert len(message.replace(str(tmp_path), "")) <= 300


def test_stars_are_ordered_by_value(tmp_path):
    rows = [{"text": f"{i} {sentence(i)}", "stars": i % 11} for i in range(220)]
    (tmp_path / "stars.csv").write_bytes(table(rows))
    task = tasks.load_task(str(tmp_path / "stars.csv"))
    assert (task.kind, task.labels) == ("regression", tuple(map(str, range(11))))
    assert task.missing_labels == ""
    two = [row | {"stars": row["stars"] % 2} for row in rows]
    (tmp_path / "stars.csv").write_bytes(table(two))
    assert tasks.load_task(str(tmp_path / "stars.csv")).kind == "classification"


def test_numbers_are_scaled_by_the_training_rows(tmp_path, tokenizer):
    (tmp_path / "prices.csv").write_bytes(table(PRICES))
    task = tasks.load_task(str(tmp_path / "prices.csv"))
    labels = torch.tensor([row["labels"] for row in task.encode(task.train, tokenizer, 64)])
    torch.testing.assert_close(labels.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(labels.std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)


def test_numbers_can_be_read_as_classes_and_classes_as_numbers(tmp_path):
    (tmp_path / "stars.csv").write_bytes(table(STARS))
    (tmp_path / "words.csv").write_bytes(table(LABELLED))
    read = {
        meaning: tasks.load_task(str(tmp_path / "stars.csv"), labels=meaning)
        for meaning in ("numbers", "classes", "ordered")
    }
    assert [task.kind for task in read.values()] == ["regression", "classification", "regression"]
    stars = ("1", "2", "3", "4", "5")
    assert [task.labels for task in read.values()] == [(), stars, stars]
    with refused("labels", "'good'"):
        tasks.load_task(str(tmp_path / "words.csv"), labels="numbers")
    (tmp_path / "halves.csv").write_bytes(table(PRICES))
    with refused("labels", "'100012.5'"):
        tasks.load_task(str(tmp_path / "halves.csv"), labels="ordered")


def test_all_hypotheses_of_a_premise_are_on_one_side(tmp_path):
    (tmp_path / "nli.jsonl").write_bytes(jsonl(NLI))
    task = tasks.load_task(str(tmp_path / "nli.jsonl"))
    sides = [{row["text"] for row in side} for side in (task.train, task.eval, task.test)]
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]


def test_a_pair_has_the_separator_of_its_tokenizer_between_the_texts(tokenizer):
    row = {"text": "It rains.", "pair": "It is wet.", "label": "yes"}
    assert whole_text(row, tokenizer) == "It rains.\nIt is wet."
    tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    tokenizer.sep_token = "<|endoftext|>"
    assert whole_text(row, tokenizer) == "It rains.<|endoftext|>It is wet."


def test_plain_text_is_encoded_whole_in_pieces(tmp_path, tokenizer):
    (tmp_path / "prose.txt").write_bytes(PROSE)
    task = tasks.load_task(str(tmp_path / "prose.txt"))
    row = task.train[0]
    encoded = task.encode([row], tokenizer, 8)
    ids = [token for piece in encoded for token in piece["input_ids"]]
    whole = tokenizer(row["text"])["input_ids"]
    assert ids[: len(whole)] == whole[: len(ids)]
    assert len(encoded) > 1
    assert all(piece["labels"] == piece["input_ids"] for piece in encoded)


def test_tools_and_calls_reach_the_model_as_text(tmp_path, tokenizer):
    (tmp_path / "tools.jsonl").write_bytes(jsonl(rows_of(tool_row)))
    row = tasks.load_task(str(tmp_path / "tools.jsonl")).train[0]
    assert row["messages"][0]["content"].startswith("Tools:\n")
    assert "look_up" in row["messages"][0]["content"]
    assert row["messages"][2]["content"].startswith("<tool_call>\n{")
    assert "<tool_call>\n{" in answer_spans(row["messages"], tokenizer)[0]


TOOL_TEMPLATE = """{% if tools %}TOOLS {{ tools | map(attribute="function.name") | join }}\n{% endif %}
{%- for m in messages %}<|im_start|>{{ m.role }} {{ m.tool_call_id }}\n{{ m.content }}
{%- for call in m.tool_calls or () %}CALL {{ call.function.name }}({{ call.function.arguments.word }})
{%- endfor %}<|im_end|>\n{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant \n{% endif %}"""


@pytest.mark.parametrize("as_text", [False, True])
def test_tools_and_calls_reach_a_chat_template_that_takes_them(tmp_path, tokenizer, as_text):
    def row(i):
        made = tool_row(i)
        made["messages"][3]["tool_call_id"] = "first"
        return made | ({"tools": json.dumps(TOOLS)} if as_text else {})

    (tmp_path / "tools.jsonl").write_bytes(jsonl(rows_of(row)))
    task = tasks.load_task(str(tmp_path / "tools.jsonl"))
    native = copy.deepcopy(tokenizer)
    native.chat_template = TOOL_TEMPLATE
    text, spans = answer_spans(task.train[0]["messages"], native)
    assert text.startswith("TOOLS look_up\n<|im_start|>system \nUse tools.<|im_end|>")
    assert "<|im_start|>tool first\nfound" in text
    learnt = [text[start:end] for start, end in spans]
    assert learnt[0] == "CALL look_up(river)<|im_end|>"
    assert learnt[1].startswith("It is ")
    assert task.encode(task.train, native, 512)


def test_a_template_that_refuses_tools_gets_their_text(tmp_path, tokenizer):
    (tmp_path / "tools.jsonl").write_bytes(jsonl(rows_of(tool_row)))
    row = tasks.load_task(str(tmp_path / "tools.jsonl")).train[0]
    strict = copy.deepcopy(tokenizer)
    refuse = "{% for m in messages %}{% if m.tool_calls %}{{ raise_exception('id') }}{% endif %}"
    strict.chat_template = TOOL_TEMPLATE.replace("{%- for m in messages %}", refuse)
    text, spans = answer_spans(row["messages"], strict)
    assert "Tools:\n" in text
    assert text[slice(*spans[0])].startswith("<tool_call>\n{")


def test_a_folder_keeps_the_sides_that_its_file_names_state(tmp_path):
    (tmp_path / "train.csv").write_bytes(table(LABELLED, ";"))
    test = [{"text": f"held out {i}", "label": ["good", "bad"][i % 2]} for i in range(10)]
    (tmp_path / "test.csv").write_bytes(table(test, ";"))
    (tmp_path / "README.md").write_text("# Notes")
    task = tasks.load_task(str(tmp_path))
    assert {row["text"] for row in task.test} == {row["text"] for row in test}
    assert len(task.train) + len(task.eval) == COUNT


def test_a_folder_that_datasets_saved_is_read(tmp_path):
    import datasets

    datasets.Dataset.from_list(LABELLED).save_to_disk(str(tmp_path / "saved"))
    task = tasks.load_task(str(tmp_path / "saved"))
    assert (task.kind, task.labels) == ("classification", ("bad", "good"))


def test_names_of_labels_in_a_parquet_file_are_used(tmp_path):
    import datasets

    names = datasets.ClassLabel(names=["calm", "wild"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    columns = {"text": [sentence(i) for i in range(COUNT)], "label": [i % 2 for i in range(COUNT)]}
    columns["label"][0] = -1
    data = datasets.Dataset.from_dict(columns, features=features)
    data.to_parquet(tmp_path / "mine.parquet")
    task = tasks.load_task(str(tmp_path / "mine.parquet"))
    assert task.labels == ("calm", "wild")
    assert sum(map(len, (task.train, task.eval, task.test))) == COUNT - 1


def test_a_row_that_does_not_fit_is_named_by_file_and_line_in_a_folder(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(jsonl(LABELLED))
    (tmp_path / "test.jsonl").write_bytes(jsonl([{"text": "x"}]))
    with refused("test.jsonl, line 1: label", rule="not be missing or empty"):
        tasks.load_task(str(tmp_path))
