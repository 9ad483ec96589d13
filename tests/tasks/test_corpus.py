"""A corpus of files and folders as strangers bring them: each has the stated rows, or is refused.

A row of the table is a name, the files, and the expected kind, shape, labels and number of rows,
or the parts of the refusal. Later rows are added here.
"""

import json
import re
from collections import Counter

import datasets
import pytest
from support.refusals import refused
from transformers import AutoTokenizer
from typer.testing import CliRunner

from qtha_lab import tasks
from qtha_lab.cli import load_commands
from qtha_lab.core.call_syntax import parse_options
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import table_rows
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment.check_data import check_data
from qtha_lab.tasks.task import IGNORED

COUNT = 60
WORDS = ["river", "engine", "violin", "harbour", "lantern", "meadow", "compass", "orchard"]


def sentence(i: int) -> str:
    return f"The {WORDS[i % 8]} number {i} stands near the {WORDS[(i // 8) % 8]}."


def good_or_bad(i: int) -> str:
    return ["good", "bad"][i % 2]


def jsonl(make, count=COUNT) -> str:
    return "".join(json.dumps(make(i)) + "\n" for i in range(count))


def lines(head: str, make, count=COUNT) -> str:
    return "\n".join([head, *(make(i) for i in range(count))]) + "\n"


def chat(i: int, **marks) -> dict:
    """Return a conversation whose first answer has the marks."""
    turns = ["user", "assistant"] * 2
    messages = [{"role": role, "content": f"{role} {i}.{n}"} for n, role in enumerate(turns)]
    messages[1] |= marks
    return {"messages": messages}


def quoted(i: int) -> str:
    """Return a sentence with the bare quotes of GLUE's files."""
    return [f'" {sentence(i)}', f'He said " {i} ".', f'"{i}" , he said .'][i % 3]


LABELLED = lines("text,label", lambda i: f"{sentence(i)},{good_or_bad(i)}")
KTO = {"prompt": "Why?", "completion": "Because."}
CLASSES = {f"{side}/{label}/{i}.txt": f"{side} {label} {sentence(i)}"
           for side, count in (("train", 20), ("test", 10)) for label in ("pos", "neg")
           for i in range(count)}  # fmt: skip
TWO = ("bad", "good")
READ = {
    # name: files, kind, shape, labels, rows, parts of the notes
    "header in another case.csv": (
        LABELLED.replace("text,label", "Text,LABEL"),
        "classification", "text and label", TWO, COUNT, (),
    ),
    "index of to_csv.csv": (
        lines(",text,label", lambda i: f"{i},{sentence(i)},{good_or_bad(i)}"),
        "classification", "text and label", TWO, COUNT, ("Columns", "Unnamed: 0"),
    ),
    "index and texts.csv": (
        lines(",text", lambda i: f"{i},{sentence(i)}"),
        "text", "plain text", (), COUNT, ("Unnamed: 0",),
    ),
    "GLUE without quoting.tsv": (
        lines("index\tsentence1\tsentence2\tlabel",
              lambda i: f"{i}\t{quoted(i)}\t{quoted(i + 1)}\t{i % 2}"),
        "classification", "sentence pairs", ("0", "1"), COUNT, ("index",),
    ),
    "pandas with quoting.tsv": (
        lines("text\tlabel", lambda i: f'"He said ""{i}"",\tthen left."\t{good_or_bad(i)}'),
        "classification", "text and label", TWO, COUNT, (),
    ),
    "decimal commas.csv": (
        lines("text;label", lambda i: f"{sentence(i)};{i},{i % 10}5"),
        "regression", "text and label", (), COUNT, ("decimal commas", "labels=classes"),
    ),
    "percents.csv": (
        lines("text,label", lambda i: f"{sentence(i)},{i}.5 %"),
        "regression", "text and label", (), COUNT, ("percents",),
    ),
    "thousands.csv": (
        lines("text;label", lambda i: f'{sentence(i)};"1,{200 + i}.50"'),
        "regression", "text and label", (), COUNT, ("between thousands",),
    ),
    "good KTO rows.jsonl": (
        jsonl(lambda i: {"prompt": sentence(i), "completion": f"It is {i}.", "label": True}),
        "lm", "prompt and response", (), COUNT, ("label",),
    ),
    "label of three values.jsonl": (
        jsonl(lambda i: {"question": sentence(i), "answer": f"It is {i}.", "label": i % 3}),
        "lm", "prompt and response", (), COUNT, ("label",),
    ),
    "weights of OpenAI.jsonl": (
        jsonl(lambda i: chat(i, weight=0)),
        "lm", "messages", (), COUNT, ("Answers without a loss", "60"),
    ),
    "marks of Axolotl.jsonl": (
        jsonl(lambda i: chat(i, train=i % 2 == 0)),
        "lm", "messages", (), COUNT, ("Answers without a loss", "30"),
    ),
    "fields of messages.jsonl": (
        jsonl(lambda i: chat(i, name="Ada") | {"source": "web"}),
        "lm", "messages", (), COUNT, ("messages.name", "Columns", "source"),
    ),
    "input in later rows.jsonl": (
        jsonl(lambda i: {"instruction": sentence(i), "output": f"It is {i}."}
              | ({"input": f"More {i}."} if i % 2 else {})),
        "lm", "prompt and response", (), COUNT, (),
    ),
    "folder of tables": (
        {"train.csv": LABELLED, "test.csv": lines("Text,Label", lambda i: f"held {i},good", 10),
         "notes.txt": "Notes.", "schema.json": '{"text": "str"}'},
        "classification", "text and label", TWO, COUNT + 10, ("notes.txt", "schema.json"),
    ),
    "folder of two formats": (
        {"train.jsonl": jsonl(lambda i: {"text": sentence(i), "label": good_or_bad(i)}),
         "test.csv": lines("text,label", lambda i: f"held {i},{good_or_bad(i)}", 10)},
        "classification", "text and label", TWO, COUNT + 10, (),
    ),
    "folder of one table and a schema": (
        {"rows.csv": LABELLED, "schema.json": '{"text": "str"}'},
        "classification", "text and label", TWO, COUNT, ("schema.json",),
    ),
    "folder of texts by class": (
        CLASSES | {"train/unsup/1.txt": "No class.", "vocabulary.txt": "a\nb"},
        "classification", "text and label", ("neg", "pos"), 60,
        ("Classes are the folders neg, pos", "unsup", "vocabulary.txt"),
    ),
    "folder of a novel in parts": (
        {f"part {n}/chapter.txt": "\n\n".join(sentence(20 * n + i) for i in range(20))
         for n in range(3)},
        "text", "plain text", (), COUNT, (),
    ),
}  # fmt: skip
REFUSED = {
    # name: files, options, parts of the refusal
    "KTO.jsonl": (
        jsonl(lambda i: KTO | {"prompt": sentence(i), "label": i % 2 == 0}), {},
        ("KTO.jsonl, line 2: label must be true", "got false", "KTO", "chosen and rejected"),
    ),
    "KTO of LLaMA-Factory.jsonl": (
        jsonl(lambda i: chat(i) | {"kto_tag": i % 2 == 0}), {},
        ("line 2: kto_tag must be true", "got false"),
    ),
    "KTO.csv": (
        lines("prompt,completion,label", lambda i: f"{sentence(i)},It is {i},{i % 2}"), {},
        ("KTO.csv, line 2: label must be true", "got 0"),
    ),
    "KTO with named columns.jsonl": (
        jsonl(lambda i: KTO | {"prompt": sentence(i), "label": False}),
        {"prompt": "prompt", "response": "completion"},
        ("line 1: label must be true", "got false"),
    ),
    "all answers masked.jsonl": (
        jsonl(lambda i: {"messages": chat(i, weight=0)["messages"][:2]}), {},
        ("line 1: messages must have an answer that is learnt",),
    ),
    "weight of a half.jsonl": (
        jsonl(lambda i: chat(i, weight=0.5)), {}, ("line 1: weight must be 0 or 1", "got '0.5'"),
    ),
    "commas without doubt.csv": (
        lines("text;label", lambda i: f"{sentence(i)};1,{200 + i}"), {},
        ("labels must state decimals", "got '1,200'", "labels=classes"),
    ),
    "half a character.json": (
        json.dumps([{"text": f"{i} \ud83d", "label": "a"} for i in range(20)]), {},
        ("half a character.json, row 1: text must be whole characters", "ud83d"),
    ),
}  # fmt: skip


def written(folder, name, files):
    """Write a file, or the files of a folder, and return its path."""
    for place, text in ({name: files} if isinstance(files, str) else files).items():
        path = folder / (place if isinstance(files, str) else f"{name}/{place}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("name", READ)
def test_a_file_has_its_rows_and_names_what_is_left_aside(name, tmp_path):
    files, kind, shape, labels, count, notes = READ[name]
    task = tasks.load_task(str(written(tmp_path, name, files)))
    assert (task.kind, task.shape, task.labels) == (kind, shape, labels)
    assert sum(map(len, (task.train, task.eval, task.test))) == count
    for part in notes:
        assert part in " ".join(task.notes)
    assert bool(task.notes) == bool(notes)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_would_be_learnt_wrongly_is_refused(name, tmp_path):
    files, options, parts = REFUSED[name]
    with pytest.raises(Refusal) as record:
        tasks.load_task(str(written(tmp_path, name, files)), **options)
    message = str(record.value)
    assert len(message) <= 300
    for part in parts:
        assert part in message


def all_rows(task):
    return [*task.train, *task.eval, *task.test]


def test_bare_quotes_are_text_and_quoted_fields_are_not(tmp_path):
    path = written(tmp_path, "glue.tsv", READ["GLUE without quoting.tsv"][0])
    rows = [row for _, row in table_rows(path)]
    assert [row["sentence1"] for row in rows] == [quoted(i) for i in range(COUNT)]
    path = written(tmp_path, "pandas.tsv", READ["pandas with quoting.tsv"][0])
    assert next(table_rows(path))[1]["text"] == 'He said "0",\tthen left.'


def test_decimal_commas_and_percents_keep_their_values(tmp_path):
    path = written(tmp_path, "prices.csv", READ["decimal commas.csv"][0])
    numbers = {row["label"] for row in all_rows(tasks.load_task(str(path)))}
    assert numbers == {float(f"{i}.{i % 10}5") for i in range(COUNT)}
    path = written(tmp_path, "shares.csv", READ["percents.csv"][0])
    numbers = sorted(row["label"] for row in all_rows(tasks.load_task(str(path))))
    assert numbers == [i + 0.5 for i in range(COUNT)]
    classes = tasks.load_task(str(path), labels="classes")
    assert (classes.kind, len(classes.labels)) == ("classification", COUNT)


def test_the_sides_of_folders_are_kept(tmp_path):
    task = tasks.load_task(str(written(tmp_path, "reviews", CLASSES)))
    assert Counter(row["label"] for row in task.test) == {"pos": 10, "neg": 10}
    assert all(row["text"].startswith(f"test {row['label']}") for row in task.test)
    assert all(row["text"].startswith("train") for row in [*task.train, *task.eval])


def test_an_optional_column_of_later_rows_is_used(tmp_path):
    path = written(tmp_path, "rows.jsonl", READ["input in later rows.jsonl"][0])
    prompts = [row["messages"][0]["content"] for row in all_rows(tasks.load_task(str(path)))]
    assert sum("\nMore " in prompt for prompt in prompts) == COUNT // 2


def test_rows_without_a_label_are_left_aside_by_option_and_counted(tmp_path):
    content = lines("text,label", lambda i: f"{sentence(i)},{i % 3 - 1}")
    path = written(tmp_path, "snli.csv", content)
    task = tasks.load_task(str(path), unlabelled="-1")
    assert task.labels == ("0", "1")
    assert len(all_rows(task)) == COUNT * 2 // 3
    assert "Rows without a label that are not used: 20." in task.notes


def test_spellings_of_a_label_are_merged_by_option(tmp_path):
    spelled = ["Good", "good ", "Good", "bad"]
    content = lines("text,label", lambda i: f"{sentence(i)},{spelled[i % 4]}")
    path = written(tmp_path, "spelled.csv", content)
    assert tasks.load_task(str(path)).labels == ("Good", "bad", "good ")
    assert tasks.load_task(str(path), merge_labels=True).labels == ("Good", "bad")


def test_a_masked_answer_has_no_loss_and_is_no_reference(tmp_path):
    path = written(tmp_path, "weights.jsonl", READ["weights of OpenAI.jsonl"][0])
    task = tasks.load_task(str(path))
    tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    (row,) = task.encode(task.train[:1], tokenizer, 256)
    learnt = tokenizer.decode([token for token in row["labels"] if token != IGNORED])
    first, last = (task.train[0]["messages"][n]["content"] for n in (1, 3))
    assert first in tokenizer.decode(row["input_ids"])
    assert last in learnt
    assert first not in learnt
    assert task.prompts(task.train[:1], tokenizer)[0][1] == last
    task = tasks.load_task(str(written(tmp_path, "last.jsonl", jsonl(masked_last))))
    reference = task.prompts(task.train[:1], tokenizer)[0][1]
    assert reference == task.train[0]["messages"][1]["content"]


def masked_last(i):
    """Return a conversation whose last answer is masked."""
    row = chat(i)
    row["messages"][3]["train"] = False
    return row


def test_a_folder_of_parquet_files_is_read_with_its_sides_and_names(tmp_path):
    names = datasets.ClassLabel(names=["calm", "wild"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    for side, count in (("train", COUNT), ("test", 10)):
        labels = [-1, *(i % 2 for i in range(1, count))]
        columns = {"text": [f"{side} {sentence(i)}" for i in range(count)], "label": labels}
        file = tmp_path / "data" / f"{side}-00000-of-00001.parquet"
        file.parent.mkdir(exist_ok=True)
        datasets.Dataset.from_dict(columns, features=features).to_parquet(file)
    task = tasks.load_task(str(tmp_path))
    assert (task.labels, len(task.test)) == (("calm", "wild"), 9)
    assert "Rows without a label that are not used: 2." in task.notes


def test_a_test_side_without_labels_is_left_aside(tmp_path):
    names = datasets.ClassLabel(names=["calm", "wild"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    sides = datasets.DatasetDict()
    for side, labels in (("train", [i % 2 for i in range(COUNT)]), ("test", [-1] * COUNT)):
        columns = {"text": [f"{side} {sentence(i)}" for i in range(COUNT)], "label": labels}
        sides[side] = datasets.Dataset.from_dict(columns, features=features)
    sides.save_to_disk(str(tmp_path / "glue"))
    task = tasks.load_task(str(tmp_path / "glue"))
    assert len(all_rows(task)) == COUNT
    assert "Rows without a label that are not used: 60." in task.notes


def test_bad_answers_of_a_saved_data_set_are_refused(tmp_path):
    rows = [KTO | {"prompt": sentence(i), "label": i % 2 == 0} for i in range(COUNT)]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "kto"))
    with refused("label", "false"):
        tasks.load_task(str(tmp_path / "kto"))


FINDINGS = {
    # name: labels, parts of the finding
    "spelling": (lambda i: ["Good", "good ", "bad"][i % 3], ("'Good' and 'good '", "merge_labels")),
    "SNLI": (lambda i: i % 4 - 1, ("'-1'", "unlabelled=-1")),
    "dash": (lambda i: ["yes", "no", "-"][i % 3], ("'-'", "unlabelled=-")),
    "null": (lambda i: ["yes", "no", "null"][i % 3], ("'null'", "unlabelled='null'")),
    "many": (lambda i: f"name {i % 20}", ("20 labels", "a tenth of the 60 rows", "label=COLUMN")),
    "many numbers": (lambda i: i % 20, ("20 labels", "labels=numbers")),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_labels_that_are_probably_none_are_findings_with_an_option(name, tmp_path):
    label, parts = FINDINGS[name]
    path = written(tmp_path, "f.csv", lines("text,label", lambda i: f"{sentence(i)},{label(i)}"))
    advice = " ".join(check_data(str(path)).advice)
    for part in parts:
        assert part in advice
    if option := re.search(r"Set ((?:unlabelled|merge_labels|labels)=\S+?)\.?( |$)", advice):
        mended = check_data(str(path), **parse_options(option[1]))
        assert parts[0] not in " ".join(mended.advice)


def test_polarity_and_clean_labels_are_no_findings(tmp_path):
    for label in (lambda i: 2 * (i % 2) - 1, good_or_bad):
        content = lines("text,label", lambda i, label=label: f"{sentence(i)},{label(i)}")
        advice = " ".join(check_data(str(written(tmp_path, "f.csv", content))).advice)
        assert not any(option in advice for option in ("merge_labels", "unlabelled", "tenth"))


def test_check_data_prints_what_is_left_aside(tmp_path):
    files = READ["folder of tables"][0]
    result = CliRunner().invoke(
        load_commands(), ["check-data", str(written(tmp_path, "folder", files))]
    )
    assert "Note: Files that are not used: notes.txt, schema.json." in result.output
    snli = lines("text,label", lambda i: f"{sentence(i)},{i % 3 - 1}")
    path = str(written(tmp_path, "snli.csv", snli))
    result = CliRunner().invoke(
        load_commands(), ["check-data", path, "--task-options", "unlabelled=-1"]
    )
    assert "Note: Rows without a label that are not used: 20." in result.output
