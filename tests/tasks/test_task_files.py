"""Task files of the real world: read as they are meant, or refused with the file and the line."""

import gzip
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.refusals import refused
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers import models as tokenizer_models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from qtha_lab import tasks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.tasks.task import shorten

ROWS = [{"question": f"What is {i} + {i}?", "answer": f"It is {2 * i}"} for i in range(40)]
WHOLE_FILE = (
    r"rows or more per side|has no rows|must have two (labels|numbers)|must keep an answer token"
    r"|must be UTF-8 text|is compressed"
)


def tiny_tokenizer():
    return AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")


def byte_tokenizer(words):
    """Bytes as tokens; with `words` texts are split as GPT-2's are, else a text is one word."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(["<eos>", *alphabet])}
    backend = Tokenizer(tokenizer_models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<eos>")


def bert_tokenizer():
    """Word pieces of single letters, cleaned and lowered as BERT's are."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'"
    pieces = ["[PAD]", "[UNK]", *letters, *(f"##{letter}" for letter in letters)]
    backend = Tokenizer(
        tokenizer_models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]")
    )
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", model_max_length=512
    )


TOKENIZERS = {
    "tiny": tiny_tokenizer(),
    "byte": byte_tokenizer(words=True),
    "wordless": byte_tokenizer(words=False),
    "bert": bert_tokenizer(),
}


def lines(*rows):
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )


def refusal(folder, content, name="mine.jsonl"):
    """The refusal of a file with these bytes."""
    (folder / name).write_bytes(content)
    with pytest.raises(Refusal) as record:
        tasks.check_task(str(folder / name))
    assert "\n" not in str(record.value)
    return str(record.value)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (rb'{"question": "x \ud83d", "answer": "y"}', r"got half of one, \\ud83d"),
        (rb'{"question": "x", "answer": "\uDE00 y"}', r"got half of one, \\ude00"),
        ('{"question": "é", "answer": "y"}'.encode("latin-1"),
         r"got byte 0xe9 at column 15. The file looks like Latin-1 \(ISO 8859-1\). Save it as UTF-8"),
        ('{"question": "“x”", "answer": "y"}'.encode("cp1252"),
         "got byte 0x93 at column 15. The file looks like Windows-1252. Save it as UTF-8"),
        (b'{"question": ' + b"[" * 100_000 + b"}", "brackets must be nested less deeply"),
        (b'{"question": "x", "answer": "y", "question": "z"}', "A key must occur once in an object, got 'question' twice"),
        (b'{"question": "x", "answer": NaN}', "A value must be a number of JSON, got NaN"),
        (b'{"question": -Infinity, "answer": "y"}', "A value must be a number of JSON, got -Infinity"),
        (b'{"question": "x", "answer": 1e999}', "answer must be text, got inf"),
        (b'{"question": ' + b"1" * 5000 + b', "answer": "y"}', "a number must have at most 4,300 digits"),
        (b'{"question": "x", "answer": {"word": ["y"]}}', "answer must be text, got \"{'word'"),
        (b'{"question": "x", "answer": "  "}', "answer must not be missing or empty"),
        (b'{"question": "x"}', "answer must not be missing or empty"),
        (b'{"question": "", "answer": "y"}', "question must not be missing or empty"),
        (b"[1, 2]", "a line must be an object"),
        (b'{"question": "' + b"x" * 3_000_000 + b'", "answer": "y"}',
         r"a row must have at most 1 MiB, got 2\.9 MiB"),
        (b"What is it?,A word", "must be JSON, .*. The file looks like CSV or plain text"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_meant_is_refused_by_file_and_line(tmp_path, bad, sentence):
    message = refusal(tmp_path, lines(*ROWS[:6], b"", bad, *ROWS[6:]))
    assert re.match(rf"mine\.jsonl, line 8: .*{sentence}", message), message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "mine.jsonl has no rows"),
        (b"\n  \n", "mine.jsonl has no rows"),
        (gzip.compress(lines(*ROWS)), "mine.jsonl must be JSON Lines, got a gzip archive. Give it the suffix .gz"),
        (b"PK\x03\x04rest", "mine.jsonl must be JSON Lines, got a zip file or a spreadsheet"),
        (lines(*ROWS).decode().encode("utf-16"), "mine.jsonl must be JSON Lines, got UTF-16. Save it as UTF-8"),
        (lines(*ROWS).decode().encode("utf-16-le"), "mine.jsonl must be UTF-8 text, got UTF-16 or a binary file."),
        (b"question,answer\nWhat?,That\n", "mine.jsonl, line 1: a line must be JSON, got: Expecting value at column 1. "
         "The file looks like CSV or plain text. Write each row as an object"),
        (json.dumps(ROWS, indent=1).encode(), "got: Expecting value at column 1. Write one whole"),
        (json.dumps(ROWS[0], indent=1).encode(), ". Write one whole object per line, with no comma after it."),
        (json.dumps(ROWS).encode(), "mine.jsonl, line 1: a line must be an object such as"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_named(tmp_path, content, sentence):
    assert sentence in refusal(tmp_path, content).replace(
        "Expecting property name enclosed in double quotes", "Expecting value"
    ).replace("column 2", "column 1")


def test_a_document_is_not_taken_for_a_data_set(tmp_path):
    message = refusal(tmp_path, b"question,answer\n", name="mine.doc")
    assert message.startswith("mine.doc must be a file of rows (.jsonl, ")


def test_a_file_that_may_not_be_read_is_a_sentence(tmp_path):
    (tmp_path / "mine.jsonl").symlink_to("/proc/self/mem")
    with refused("mine.jsonl", "input/output error"):
        tasks.check_task(str(tmp_path / "mine.jsonl"))


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    plain, windows = tmp_path / "plain.jsonl", tmp_path / "windows.jsonl"
    plain.write_bytes(lines(*ROWS))
    windows.write_bytes(b"\xef\xbb\xbf" + lines(*ROWS).replace(b"\n", b"\r\n"))
    one, other = tasks.load_task(str(plain)), tasks.load_task(str(windows))
    assert (one.train, one.eval) == (other.train, other.eval)


def test_a_whole_emoji_written_as_two_halves_is_read(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(lines(*({"text": f"{i} 😀", "label": str(i % 2)} for i in range(40))))
    assert b"\\ud83d\\ude00" in path.read_bytes()
    assert "😀" in tasks.load_task(str(path)).train[0]["text"]


def test_strange_column_names_stay_on_one_line_and_short(tmp_path):
    record = {"a\nb": 1, "x" * 10_000: 2} | {f"column {i}": i for i in range(1000)}
    message = refusal(tmp_path, lines(record))
    assert r"a\nb" in message
    assert "Name them, such as" in message


@pytest.mark.parametrize("role", ["narrator", "", "user\n"])
def test_a_role_that_no_template_knows_is_refused_by_line(tmp_path, role):
    messages = [
        {"role": "user", "content": "a"},
        {"role": role, "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert "mine.jsonl, line 1: A role must be system, user, assistant or tool, got" in refusal(
        tmp_path, lines({"messages": messages})
    )


def test_what_a_chat_template_refuses_is_a_sentence():
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    task = tasks.load_task("qa", train_rows=4)
    with refused("The model's chat template", "roles must alternate"):
        task.encode(task.train, tokenizer, 64)


# folders
# -------------------------------------------------------------------------------------------


def test_a_folder_without_rows_is_refused_before_a_library_reads_it(tmp_path):
    (tmp_path / "notes.md").write_text("# Notes")
    (tmp_path / ".hidden.jsonl").write_text("{}")
    (tmp_path / "config.json").write_text("{}")
    with refused(value="no such file"):
        tasks.check_task(str(tmp_path))


def test_a_model_folder_is_no_task():
    with refused(value="a model"):
        tasks.check_task(str(data_dir() / "models" / "tiny"))


def test_a_folder_of_everything_is_refused(tmp_path):
    (tmp_path / "train.jsonl").write_text("{}")
    for i in range(10_001):
        (tmp_path / f"{i}.txt").touch()
    with refused(value="more"):
        tasks.check_task(str(tmp_path))


# long texts
# ----------------------------------------------------------------------------------------

LETTERS = st.sampled_from(
    [*"ab1 .,'-\n\t_<|>é½ßアﬁ", "  ", "\u0301", "\u200b", "😀", "don't", "<|im_end|>"]
)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(piece=st.lists(LETTERS, min_size=1, max_size=60), max_length=st.integers(1, 12), data=st.data())  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_a_shortened_text_has_the_same_first_tokens(name, piece, max_length, data):
    tokenizer = TOKENIZERS[name]
    end = "".join(data.draw(st.lists(LETTERS, max_size=60)))
    text = "".join(piece) * data.draw(st.integers(1, 30)) + end
    short = shorten(text, tokenizer, max_length)
    assert text.startswith(short)
    first, whole = (
        tokenizer(each, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for each in (short, text)
    )
    assert first["input_ids"][:max_length] == whole["input_ids"][:max_length]
    assert first["offset_mapping"][:max_length] == whole["offset_mapping"][:max_length]


@pytest.mark.parametrize("name", ["tiny", "byte", "bert"])
def test_a_long_text_of_words_is_cut_and_one_long_word_is_not(name):
    text = "What is a word? " * 50_000
    assert len(shorten(text, TOKENIZERS[name], 64)) < 5_000
    assert len(shorten("x" * 50_000, TOKENIZERS[name], 64)) == 50_000


def test_a_long_row_is_encoded_as_if_it_were_whole(tmp_path):
    long = "What is a word? " * 5_000
    path = tmp_path / "mine.jsonl"
    path.write_bytes(lines(*({"text": f"{i} {long}", "label": str(i % 2)} for i in range(30))))
    task, tokenizer = tasks.load_task(str(path)), TOKENIZERS["tiny"]
    whole = tokenizer([row["text"] for row in task.train], truncation=True, max_length=32)
    assert [row["input_ids"] for row in task.encode(task.train, tokenizer, 32)] == whole[
        "input_ids"
    ]


# any file at all
# -----------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "gpt", "zzz"]), "content": values}
    ),
    max_size=4,
)
rows = st.one_of(
    st.fixed_dictionaries({"question": st.text(min_size=1), "answer": st.text(min_size=1)}),
    st.fixed_dictionaries({"question": values, "answer": values}),
    st.fixed_dictionaries({"text": st.text(min_size=1), "label": st.sampled_from("ab")}),
    st.fixed_dictionaries({"messages": messages}),
    st.dictionaries(st.sampled_from(["prompt", "output", "text", "label", "zzz"]), values),
    values,
)


@st.composite
def damaged_files(draw):
    """The lines of rows of one or several kinds, with bytes changed, put in or left out."""
    kind = draw(st.sampled_from(["mixed", "good", "text"]))
    if kind == "mixed":
        records = draw(st.lists(rows, max_size=12))
    else:
        good = (
            ROWS
            if kind == "good"
            else [{"text": r["answer"], "label": "ab"[i % 2]} for i, r in enumerate(ROWS)]
        )
        records = good + draw(st.lists(rows, max_size=1))
    content = bytearray(b"\n".join(json.dumps(record).encode() for record in records))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(content)))
        extra = draw(
            st.sampled_from(
                [
                    b"",
                    b"\xe9",
                    b"\\ud83d",
                    b"\0",
                    b"NaN",
                    b'"',
                    b"\n",
                    b"\xef\xbb\xbf",
                    b"[" * 5000,
                    b"\\u0000",
                ]
            )
        )
        content[place : place + draw(st.integers(0, 2))] = extra
    return bytes(content)


@given(content=damaged_files(), max_length=st.sampled_from([8, 64]))
@settings(
    deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_file_is_read_and_encoded_or_refused_by_name(tmp_path, content, max_length):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    try:
        task = tasks.load_task(str(path))
        for side in (task.train, task.eval):
            encoded = task.encode(side, TOKENIZERS["tiny"], max_length)
            assert all(0 < len(row["input_ids"]) <= max_length for row in encoded)
        assert len(task.fingerprint) == 64
    except Refusal as record:
        message = str(record)
        assert message.encode()
        assert "\n" not in message
        assert "mine.jsonl" in message
        assert re.search(r"mine\.jsonl, line \d+: ", message) or re.search(WHOLE_FILE, message), (
            message
        )
