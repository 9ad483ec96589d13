"""Pages state the command, the day, the commit and the load of a measurement."""

import subprocess

from support.refusals import refused
from typer.testing import CliRunner

from benchmarks import machine, start
from benchmarks.commands import app, values_of

FIGURES = {
    "benchmark": "start",
    "date": "2026-12-01",
    "commit": "0123456789abcdef+",
    "machine": {"cpu": "a processor", "cores": 4, "load_before": 2.5},
    "settings": {"model": "tiny", "steps": 5, "rounds": 1},
    "runs": [],
}


def test_a_page_states_the_command_the_day_the_commit_and_the_load(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(start, "bench_start", lambda **options: given.update(options) or FIGURES)
    words = f"start --rounds 4 --methods lora(r=2),qtha --page {tmp_path / 'out' / 'start.md'}"
    answer = CliRunner().invoke(app, words.split())
    assert answer.exit_code == 0, answer.output
    del given["show"]
    assert given == {"model": "tiny", "methods": ("lora(r=2)", "qtha"), "steps": 5, "rounds": 4}
    first, second, *_ = (tmp_path / "out" / "start.md").read_text(encoding="utf-8").splitlines()
    assert first == "`qtha-lab bench start --methods 'lora(r=2),qtha' --rounds 4`  "
    assert (
        second == "2026-12-01, commit 0123456+, a processor, load before 2.5: the machine was busy"
    )


def test_a_list_of_numbers_has_no_words():
    assert values_of("qubits", "4,6", int) == (4, 6)
    with refused("qubits", "'four'"):
        values_of("qubits", "four", int)


def test_a_changed_checkout_is_marked_but_for_its_documents(tmp_path, monkeypatch):
    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True)

    monkeypatch.setattr(machine.paths, "CHECKOUT", tmp_path)
    git("init")
    (tmp_path / "docs").mkdir()
    for file in ("code.py", "docs/page.md"):
        (tmp_path / file).write_text("first")
    git("add", "."), git("commit", "-m", "first")
    at = machine.commit()
    assert len(at) == 40
    (tmp_path / "docs" / "page.md").write_text("a table")
    assert machine.commit() == at
    (tmp_path / "code.py").write_text("second")
    assert machine.commit() == f"{at}+"
    assert machine.short(machine.commit()) == f"{at[:7]}+"
