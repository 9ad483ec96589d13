"""Foreign text reaches a terminal, and a spreadsheet, only as text."""

import csv
import io
import json

import pytest
from support.command_line import call
from support.run_folders import finish, run_folder, train, write
from support.trained_runs import finished

from qtha_lab import Experiment, load_model
from qtha_lab.core import paths
from qtha_lab.core.io import csv_cell, printable
from qtha_lab.core.io.text import BIDI
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.figures.machinery.table import Table
from qtha_lab.runs.run import Run

# Colours, a title, the clipboard (OSC 52), a carriage return, an 8-bit CSI, NUL, a change of
# direction.
HOSTILE = "a\x1b[31mb\x1b]0;t\x07\x1b]52;c;aGk=\x07c\rd\x9b2Je\x00f\u202eg\x7f"
FORMULA = "=HYPERLINK(A1)"


def controls(text: str) -> set[str]:
    """The characters of an output that could do more than be read."""
    return {c for c in text if (not c.isprintable() and c not in "\n\t") or c in BIDI}


def output(*words: str) -> str:
    """Everything that a command writes to standard output and standard error."""
    result = call(*words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout + result.stderr


@pytest.fixture
def run():
    run = run_folder(paths.runs_dir(), "lora(r=2)", name=HOSTILE, steps=1)
    write(run, train(1, 5.0))
    write(run, {"kind": "status", "state": "failed", "step": 1, "message": f"no {HOSTILE}\nhere"})
    run.files.log.write_bytes(
        f"line\n{HOSTILE}\n".encode("utf-8", "surrogateescape") + b"\xff\x1b[2J"
    )
    return run


def test_hostile_text_is_hostile():
    assert {"\x1b", "\x07", "\r", "\x9b", "\x00", "\u202e", "\x7f"} == controls(HOSTILE)


def test_names_notes_tags_messages_and_logs_reach_no_terminal_unescaped(run):
    log = EventLog(
        run.files.annotations
    )  # as another program may write it; the command refuses such a tag
    log.append("annotation", add=["tag" + HOSTILE])
    log.close()
    answers = [
        output("runs", "note", run.id, HOSTILE),
        output("runs", "rename", run.id, HOSTILE.replace("\x00", "")),
        output("runs"),
        output("runs", run.id),
        output("runs", "--columns", "all"),
        output("runs", "--columns", "run,name,note,tags", "--csv"),
        output("runs", "--where", "state = failed"),
        output("runs", "--json"),
        output("runs", "delete", run.id),
        output("runs", "trash"),
    ]
    assert "\\x1b[31m" in "".join(answers)
    assert "\\x1b[2J" in answers[3]
    for answer in answers:
        assert answer
        assert controls(answer) == set()


def test_answers_of_a_model_reach_no_terminal_unescaped(tmp_path):
    tiny, folder = load_model("tiny"), tmp_path / "model"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    replace = {"type": "Replace", "pattern": {"Regex": "[aeiou]"}, "content": HOSTILE}
    tokenizer["decoder"] = {"type": "Sequence", "decoders": [tokenizer["decoder"], replace]}
    file.write_text(json.dumps(tokenizer))
    training = {
        "steps": 1, "train_rows": 8, "eval_rows": 4, "test_rows": 4, "generate_rows": 0,
        "batch_size": 2, "max_length": 32,
    }  # fmt: skip
    experiment = Experiment(model=str(folder), method="lora(r=2)", training=training)
    run = Run(finished(experiment, paths.runs_dir()).path)
    answer = output("chat", run.id, "--prompt", "What is a computer?", "--max-new-tokens", "12")
    assert "\\x1b[31m" in answer
    assert controls(answer) == set()


def test_progress_bars_show_no_control_character(run):
    from rich.console import Console

    from qtha_lab.cli.output import progress

    bars = progress()
    bars.add_task(f"[bold]{HOSTILE}", total=1, message=HOSTILE)
    stream = io.StringIO()
    Console(file=stream, width=400).print(bars.get_renderable())
    assert "[bold]a\\x1b[31mb" in stream.getvalue()
    assert controls(stream.getvalue()) == set()


def test_a_spreadsheet_takes_no_text_of_a_table_for_a_formula(run):
    finish(run, eval_loss=-2.5)
    output("runs", "note", run.id, FORMULA)
    (row,) = csv.DictReader(io.StringIO(output("runs", "--columns", "note,eval_loss", "--csv")))
    assert row == {"note": f"'{FORMULA}", "eval_loss": "-2.5"}
    table = Table(("method", "eval_loss"), [("@lora", -2.5), ("+qtha", 1e-05)])
    assert table.csv() == "method,eval_loss\n'@lora,-2.5\n'+qtha,1e-05\n"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_text_that_begins_as_a_formula_is_quoted(text):
    assert csv_cell(text).startswith(("'", "\\"))


def test_writing_of_any_script_is_shown_as_it_is():
    for text in ("Grüße, 世界", "prix\u00a0: 5\u202f€", "naïve ∑ ½"):
        assert printable(text) == text
