"""Wrong words after `qtha-lab` are refused in one sentence.

A result, or one short sentence that is never said to be a fault of ours.
"""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.refusals import refused
from typer.main import get_command

from qtha_lab import adapters, cli, launch
from qtha_lab.cli import app, load_commands
from qtha_lab.core import paths
from qtha_lab.core.io.text import BIDI
from qtha_lab.experiment import Experiment

LONG = "x" * 5000
HOSTILE = [
    "",
    " ",
    "-1",
    "0",
    "1e308",
    "1e309",
    "nan",
    "inf",
    "-inf",
    "9" * 400,
    "0x10",
    "1_000",
    "null",
    "all",
    "true",
    LONG,
    "(",
    ")",
    "[",
    "{",
    "[" * 2000 + "]" * 2000,
    "{a:" * 500 + "}" * 500,
    "lora(",
    "lora(r=)",
    "lora(r=1e308)",
    "lora(layers_pattern='(')",
    "lora(layers_pattern='(',layers_to_transform=[0])",
    "lora(rank_pattern={'(':2})",
    f"qtha(waist={LONG})",
    f"{LONG}(r=2)",
    "qtha(r=2,r=3)",
    "a=b",
    "=",
    ",",
    ",,,",
    "..",
    "1..0",
    "a\x1b[31mb",
    "\u202e",
    "\x07",
    "%s",
    "{}",
    "{0.__class__}",
    "$HOME",
    "~unknown-user/x",
    "/",
    ".",
    "/dev/null",
    "no/such/file.yaml",
    "\udcff",
    "🙂" * 90,
    "'",
    '"',
    "\\",
    "--",
    "ray:",
    "slurm(",
    "device:",
    "density:noise(",
    "ftp://x",
    "null(a=1)",
]
# What keeps a command from doing anything where the hostile value is no value of this option.
SAFE = {
    "run": ["--dry-run"],
    "compare": ["--dry-run"],
    "sweep": ["--dry-run"],
    "federate": ["--dry-run"],
    "lab": ["--dir", __file__],
    "reproduce": ["no-such-paper"],
    "search": ["--ranking", "none"],
    "start learn": ["--out", "/no/such/folder/x"],
    "fetch": ["no-such-model"],
}


def commands():
    """Every command, its parameters, and how to name each."""

    def walk(command, words):
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, [*words, name])
        if not hasattr(command, "commands"):
            yield words, command.params

    return {
        " ".join(words): params
        for words, params in walk(get_command(load_commands()), [])
        if words[0] != "bench"  # these measure for minutes
    }


COMMANDS = commands()


@st.composite
def lines(draw) -> list[str]:
    """A command, hostile values for one to three of its parameters, and what keeps it from running."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    words, positional = [], []
    for param in COMMANDS[name]:
        if param.param_type_name == "argument" and (param.required or draw(st.booleans())):
            positional.append(draw(st.sampled_from(HOSTILE)))
    options = [p for p in COMMANDS[name] if p.param_type_name == "option" and p.name != "help"]
    for param in (
        draw(st.lists(st.sampled_from(options), max_size=3, unique_by=id)) if options else ()
    ):
        flag = draw(st.sampled_from(param.opts))
        words += [flag] if param.is_flag else [flag, draw(st.sampled_from(HOSTILE))]
    return [*name.split(), *words, *SAFE.get(name, []), "--", *positional]


def typed(words: list[str]) -> tuple[int, str, str]:
    """The exit status, the output and the error of the command in this process."""
    out, error = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["qtha-lab", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            cli.main()
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), error.getvalue()
    finally:
        sys.argv = before
    return 0, out.getvalue(), error.getvalue()


def refusal_of(*words: str) -> str:
    """Return the sentence with which a command refuses."""
    status, _, error = typed(list(words))
    assert status == 2, error
    assert error.startswith("error: "), error
    assert error.count("\n") == 1, error
    return error.removeprefix("error: ").strip()


@pytest.mark.slow
@given(lines())
@example(["run", "--dry-run", "--method", "qtha(waist=" + LONG + ")"])
@example(["run", "--dry-run", "--epochs", "1e308"])
@example(["runs", "note", LONG, LONG])
@settings(
    max_examples=120, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_no_command_line_is_a_fault_of_ours(tmp_path_factory, monkeypatch, words):
    monkeypatch.chdir(tmp_path_factory.mktemp("working"))
    status, output, error = typed(words)
    assert status in (0, 1, 2), (status, error)
    assert "fault of qtha-lab" not in error, (words, error)
    assert "Traceback" not in output + error, (words, error)
    assert not {c for c in output + error if (not c.isprintable() and c not in "\n\t") or c in BIDI}
    sentences = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(sentences) == (status == 2), (words, error)
    for sentence in sentences:
        assert len(sentence) <= 307, sentence
        assert not re.search("x{81}|9{81}|🙂{81}", sentence), sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--epochs", "1e308"], "training.epochs must be at most 1e+06, got 1e+308."),
        (["run", "--method", "lora(layers_pattern='(')"], "layers_pattern must be a regular expression, got '('."),
        (["run", "--method", "qtha(rank_pattern={'(':2})"], "rank_pattern must be a regular expression, got '('."),
        (["ansatze", "show", "qtha", "--samples", "999999999"],
         "Invalid value for '--samples': Input should be less than or equal to 1000000"),
        (["run", "--stps", "5"], "No such option: --stps (Possible options: --steps, --task)"),
        ([LONG], f"No such command '{'x' * 79}…'."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(words, sentence):
    assert refusal_of(*words) == sentence


def test_a_pattern_is_refused_in_python_too():
    with refused("layers_pattern", "'('"):
        adapters.get_method("lora").make_config(layers_pattern="(", layers_to_transform=[0])


def in_a_deleted_folder(tmp_path: Path, *command: str) -> subprocess.CompletedProcess:
    folder = tmp_path / "deleted"
    folder.mkdir()
    script = 'cd "$0" && rmdir "$0" && exec "$@"'
    return subprocess.run(
        ["/bin/sh", "-c", script, str(folder), *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_in_a_deleted_folder_is_refused(tmp_path):
    command = (sys.executable, "-c", "from qtha_lab.cli import main; main()", "run", "--dry-run")
    process = in_a_deleted_folder(tmp_path, *command)
    assert process.returncode == 2
    sentence = (
        "The working folder must exist, got one that was deleted. Change to another folder first."
    )
    assert process.stderr == f"error: {sentence}\n"


def test_a_launch_from_a_deleted_folder_is_refused_and_leaves_no_run(tmp_path, monkeypatch):
    (tmp_path / "deleted").mkdir()
    monkeypatch.chdir(tmp_path / "deleted")
    shutil.rmtree(tmp_path / "deleted")
    with refused("The working folder", "one that was deleted"):
        launch(Experiment(method="lora(r=2)"))
    monkeypatch.chdir(tmp_path)
    assert not paths.runs_dir().exists()


def test_a_real_fault_says_so_and_names_its_log(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_LOG", str(tmp_path / "faults.log"))
    registered = list(app.registered_commands)

    @app.command("broken")
    def broken() -> None:
        raise KeyError(LONG)

    try:
        status, _, error = typed(["broken"])
    finally:
        app.registered_commands[:] = registered
    assert status == 1
    assert "this is a fault of qtha-lab" in error
    assert f"details in {tmp_path / 'faults.log'}" in error
    assert LONG in (tmp_path / "faults.log").read_text()
