"""The door for plugins.

A file or a module brings a method or an ansatz, and is refused in a sentence when it cannot.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from support.command_line import call
from support.preloaded import PYTHON
from support.refusals import refused
from support.run_folders import status, write
from support.small_models import make

from qtha_lab import adapters, plugins, testing
from qtha_lab.circuits import ansatze
from qtha_lab.core import fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.core.plugin_loading import fingerprints
from qtha_lab.core.registry import Registry
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.run_directory import RunDir, trust
from qtha_lab.experiment.run_directory.plugins import load_run_plugins, record_plugins
from qtha_lab.runs import export
from qtha_lab.runs.chat.models import ChatModels
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies import comparison
from qtha_lab.training import evaluation_variants

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SOURCE = (EXAMPLES / "diagonal.py").read_text()


pytestmark = pytest.mark.usefixtures("no_plugin_stays")


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin under a name of its own, so that no test sees another's."""

    def write(text: str, name: str = "mine.py") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def named(method: str, source: str = SOURCE) -> str:
    """The example method under another name."""
    return source.replace('"diagonal"', f'"{method}"')


@pytest.mark.parametrize("name", plugins.__all__)
def test_every_public_name_of_a_plugin_can_be_imported(name):
    assert getattr(plugins, name) is not None


def test_a_method_in_a_file_becomes_a_peft_tuner(plugin, tmp_path):
    plugins.load_plugins([plugin(named("slim_one"))])
    method = adapters.get_method("slim_one")
    model = get_peft_model(make("llama"), method.make_config(target_modules=["q_proj"], r=3))
    for tensor in (p for p in model.parameters() if p.requires_grad):
        tensor.data.normal_()
    ids = torch.arange(6)[None]
    expected = model(ids).logits
    model.save_pretrained(tmp_path / "saved")
    loaded = PeftModel.from_pretrained(make("llama"), tmp_path / "saved")
    assert torch.equal(loaded(ids).logits, expected)


def test_an_ansatz_in_a_file_is_a_choice_of_every_method_that_takes_one():
    plugins.load_plugins([str(EXAMPLES / "chain.py")])
    assert "chain" in ansatze.names()
    config = adapters.get_method("qtha").make_config(r=3, ansatz="chain")
    assert config.circuits()[0].counts() == {"RY": 18, "CNOT": 6}  # 3 layers: 3 + 3 RY, 2 CNOT


def test_a_changed_file_is_imported_anew_and_replaces_what_it_registered(plugin):
    file = plugin(named("slim_two"))
    plugins.load_plugins([file])
    first = fingerprints([file])
    plugins.load_plugins([plugin(named("slim_two").replace("setting(8,", "setting(5,"))])
    assert fingerprints([file]) != first
    assert adapters.get_method("slim_two").make_config().r == 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import nothing_of_that_name", "mine.py:1 must be importable, got ModuleNotFoundError"),
        ("x = (", "must be importable, got SyntaxError"),
        (
            named("qtha"),
            "The name of a method must be new, got 'qtha', which qtha_lab.adapters.qtha has",
        ),
        ("from qtha_lab.plugins import nonsense", "must be importable, got "),
        (
            SOURCE.replace('"an example of this project"', '" "'),
            "The source of method 'diagonal' must not be empty",
        ),
        ("raise SystemExit(3)", "mine.py:1 must be importable, got SystemExit: 3"),
    ],
)
def test_what_does_not_import_or_clashes_is_refused_in_a_sentence(plugin, text, sentence):
    with pytest.raises(Refusal) as record:
        plugins.load_plugins([plugin(text)])
    assert sentence in str(record.value)
    assert adapters.get_method("qtha").make_config(waist=16).r == 8  # ours stands as it was


@pytest.mark.parametrize(
    ("name", "setting", "value", "rule"),
    [
        ("no/such/file.py", "A plugin file", "no/such/file.py", ""),
        ("no_such_module", "A plugin", "'no_such_module'", ""),
        ("no_such.module", "A plugin", "", "a file that ends in .py"),
    ],
)
def test_a_plugin_that_is_not_there_is_refused(name, setting, value, rule):
    for attempt in (plugins.load_plugins, fingerprints):
        with refused(setting, value, rule=rule):
            attempt([name])


def test_a_plugin_file_of_two_gibibytes_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "large.py"
    with file.open("wb") as sparse:
        sparse.truncate(2**31)
    for attempt in (plugins.load_plugins, fingerprints):
        with refused(value="2048.0 MiB"):
            attempt([str(file)])


@pytest.fixture
def half_installed(tmp_path):
    """A folder with a package's metadata, whose entry points lead to a module that is not there."""

    def write(group: str) -> Path:
        info = tmp_path / "half-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\ngone = half.gone\n")
        return tmp_path

    return write


def test_a_package_that_is_half_installed_is_left_out_and_named(half_installed, monkeypatch):
    monkeypatch.syspath_prepend(half_installed("words"))
    words = Registry("word", "json", group="words")
    words.add("ours", 1, module="here")
    assert list(words) == ["ours"]
    reason = r"package half does not import \(ModuleNotFoundError: No module named 'half'\)"
    with pytest.raises(Refusal, match=f"^word 'gone' cannot be loaded: {reason}$"):
        words.get_or_refuse("gone")


@pytest.mark.slow
def test_the_doctor_names_a_package_that_is_half_installed_and_the_rest_goes_on(half_installed):
    path = os.pathsep.join([str(half_installed("qtha_lab.methods")), *sys.path])
    command = [*PYTHON, "-c", "from qtha_lab.cli import main; main()", "doctor", "--json"]
    environment = os.environ | {"PYTHONPATH": path}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    findings = {finding["name"]: finding for finding in json.loads(answer.stdout)}
    assert findings["method gone"]["said"].startswith("left out: package half does not import")
    assert findings["torch"]["level"] == "ok"
    assert "method gone was not loaded: package half does not import" in answer.stderr


# the contract


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_the_examples_keep_to_the_contract(file):
    verdicts = testing.check_plugin(str(file))
    assert [verdict for verdict in verdicts if not verdict.holds] == []
    assert len(verdicts) == len({verdict.fact for verdict in verdicts}) >= 2


def test_a_file_that_registers_nothing_is_refused(plugin):
    with refused("Plugin", rule="no member of a family"):
        testing.check_plugin(plugin("x = 1"))


def test_the_command_says_what_holds_and_fails_where_something_does_not(plugin):
    good = call("check-plugin", str(EXAMPLES / "chain.py"))
    assert good.exit_code == 0, good.output
    assert "ansatz chain" in good.output
    source = (EXAMPLES / "chain.py").read_text().replace('"chain"', '"chain_of_seven"')
    bad = call("check-plugin", plugin(source.replace("n_qubits * n_layers,", "7,")))
    assert bad.exit_code == 1
    assert "n_params gives 7" in " ".join(bad.output.split())


# in a run


@pytest.mark.slow
def test_a_method_of_a_plugin_is_launched_compared_and_resumed_only_as_it_was(plugin, tmp_path):
    file = plugin(named("slim_run"))
    training = {
        "steps": 3,
        "batch_size": 2,
        "train_rows": 8,
        "eval_rows": 2,
        "test_rows": 8,
        "generate_rows": 0,
    }
    compared = Comparison(methods="lora(r=2),slim_run(r=3)", plugins=[file], training=training)
    summary = comparison.run_comparison(compared, tmp_path / "out")
    entries = {entry["label"]: entry for entry in summary["runs"]}
    assert {label: entry["state"] for label, entry in entries.items()} == {
        "lora(r=2,lora_alpha=4)": "finished",
        "slim_run(r=3,alpha=6)": "finished",
    }
    # tiny: 6 layers, q 192 -> 192 and v 192 -> 64; r (in + out + 1) each
    assert entries["slim_run(r=3,alpha=6)"]["trainable_parameters"] == 6 * 3 * (
        192 + 192 + 192 + 64 + 2
    )

    (run,) = [run for run in list_runs(tmp_path / "out" / "runs") if "slim" in run.id]
    assert json.loads(run.files.plugins.read_text()) == fingerprints([file])
    plugin(named("slim_run").replace("setting(8,", "setting(5,"))
    with refused(rule="unchanged since the launch of this run"):
        load_run_plugins(run.files)


def test_a_plugin_that_is_not_there_is_refused_before_anything_starts(tmp_path):
    for described in (Experiment(plugins=["gone.py"]), Comparison(plugins=["gone.py"])):
        with refused("A plugin file", "gone.py"):
            described.check(tmp_path)


def test_plugins_come_back_from_yaml_python_and_the_command():
    described = Experiment(method="lora(r=2)", plugins=["mine.py", "my.module"])
    assert Experiment.from_yaml(described.to_yaml()) == described
    assert "plugins=" in described.to_python()
    assert "--plugins mine.py,my.module" in described.to_command()


# code that a run folder brings


SPY = (
    SOURCE.replace('"diagonal"', '"spied"') + "\nfrom pathlib import Path\nPath({mark!r}).touch()\n"
)


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A user who has launched and trusted nothing yet."""
    monkeypatch.setenv("QTHA_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    return tmp_path / "state"


@pytest.fixture
def foreign_run(state, plugin, tmp_path):
    """A run folder that somebody else made; its plugin leaves a mark where it runs."""
    mark = tmp_path / "it_ran"
    file = plugin(SPY.replace("{mark!r}", repr(str(mark))))
    described = Experiment(method={"name": "spied"}, plugins=[file])
    run = Run(RunDir.create(Experiment(), tmp_path / "runs").path)
    run.files.experiment_file.write_text(described.to_yaml())  # the plugin has not run
    write(run, status("running", 0), status("stopped", 1))
    run.files.adapter.mkdir()
    (run.files.adapter / "adapter_config.json").write_text("{}")
    return run, mark


USES = {
    "talk": lambda run: ChatModels([run.id]),
    "export": lambda run: export.export_run(run, "merged"),
    "resume": lambda run: run.resume(),
    "evaluate": lambda run: list(evaluation_variants.evaluate_variants(run.files)),
    "load": lambda run: run.load(),
    "worker": lambda run: load_run_plugins(run.files),
}


@pytest.mark.parametrize("use", USES)
def test_code_of_a_run_of_somebody_else_is_not_run_where_nobody_can_answer(foreign_run, use):
    run, mark = foreign_run
    with pytest.raises(Refusal) as record:
        USES[use](run)
    assert f"call `qtha-lab trust {run.id}`" in str(record.value)
    assert run.experiment.plugins[0][:40] in str(record.value)
    assert len(str(record.value)) <= 300
    assert not mark.exists()


def test_trust_is_recorded_by_the_command_for_one_folder_and_one_content(
    foreign_run, plugin, tmp_path
):
    run, mark = foreign_run
    done = call("trust", run.id)
    assert done.exit_code == 0, done.output
    os.environ.pop(trust.VARIABLE)  # as in another process
    assert not mark.exists()
    load_run_plugins(run.files)
    assert mark.exists()
    assert [file.stat().st_mode & 0o077 for file in (tmp_path / "state").rglob("*")] == [0, 0]
    copy = RunDir(tmp_path / "copy")
    shutil.copytree(run.path, copy.path)
    with refused(remedy="qtha-lab trust"):
        load_run_plugins(copy)
    plugin(Path(run.experiment.plugins[0]).read_text() + "\n# other code\n")
    with refused(remedy="qtha-lab trust"):
        load_run_plugins(run.files)


@pytest.mark.parametrize("plant", ["world-writable", "of another user", "link"])
def test_trust_that_somebody_else_could_have_recorded_does_not_count(foreign_run, state, plant):
    run, mark = foreign_run
    call("trust", run.id)
    os.environ.pop(trust.VARIABLE)
    folder = state / "trusted"
    if plant == "world-writable":
        folder.chmod(0o777)
    elif plant == "link":
        folder.rename(state / "elsewhere")
        folder.symlink_to(state / "elsewhere")
    elif os.getuid() == 0:
        os.chown(folder, 12345, 12345)
    else:
        pytest.skip("only root can give a folder away")
    with refused(remedy="qtha-lab trust"):
        load_run_plugins(run.files)
    assert not mark.exists()


def test_a_run_that_this_user_launches_is_trusted_here_and_in_its_worker(state, plugin, tmp_path):
    file = plugin(named("slim_own"))
    files = RunDir.create(
        Experiment(method={"name": "slim_own"}, plugins=[file]), tmp_path / "runs"
    )
    record_plugins(files)
    load_run_plugins(files)
    shutil.rmtree(state)  # a machine that does not see this folder has the variable
    load_run_plugins(files)
    os.environ.pop(trust.VARIABLE)
    with refused(remedy="qtha-lab trust"):
        load_run_plugins(files)


ASKED = """
import sys
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import check_plugins
from pathlib import Path
try:
    check_plugins(RunDir(Path(sys.argv[1])))
    print("trusted")
except Refusal as record:
    print("refused")
"""


def asked(run, answer: str) -> tuple[str, str]:
    """Return the question of a process at a terminal, and the effect of the answer."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASKED, str(run.path)],
        stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(ours, f"{answer}\n".encode())
    output, _ = process.communicate()
    os.close(theirs)
    seen = os.read(ours, 4096).decode()
    os.close(ours)
    return seen, output.strip()


def test_a_person_at_a_terminal_is_asked_once_for_each_folder(foreign_run):
    run, mark = foreign_run
    seen, outcome = asked(run, "n")
    assert "This run brings code: " in seen
    assert "Trust it?" in seen
    assert outcome == "refused"
    assert asked(run, "y")[1] == "trusted"
    seen, outcome = asked(run, "n")
    assert "This run brings code" not in seen
    assert outcome == "trusted"
    assert not mark.exists()


# members of installed packages


@pytest.fixture
def package(tmp_path):
    """Install a package with a task of its own, in one version or another."""

    def install(version: str, source: str = "") -> Path:
        site = tmp_path / "site"
        shutil.rmtree(site, ignore_errors=True)
        info = site / f"slimming-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: slimming\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text("[qtha_lab.tasks]\nany = slimming\n")
        text = (EXAMPLES / "sums.py").read_text().replace('"sums"', '"slim_sums"')
        (site / "slimming.py").write_text(text + source)
        return site

    return install


PACKAGED = """
import sys
from pathlib import Path
from qtha_lab.runs import run as runs
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import record_plugins

folder = Path(sys.argv[1])
if not folder.exists():
    files = RunDir.create(Experiment(task="slim_sums"), folder)
    record_plugins(files)
    files.events.write_text('{"t": 0, "kind": "status", "state": "stopped", "step": 1, "message": ""}\\n')
else:
    (run,) = runs.list_runs(folder)
    try:
        run.resume()
    except Refusal as record:
        print(refused)
"""


def packaged(site, folder) -> str:
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", PACKAGED, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_the_package_of_a_member_is_recorded_and_held_against_the_installed_one_at_resume(
    package, tmp_path
):
    folder = tmp_path / "runs"
    site = package("1.2")
    packaged(site, folder)
    (run,) = list_runs(folder)
    digest = hashlib.sha256((site / "slimming.py").read_bytes()).hexdigest()
    assert json.loads(run.files.plugins.read_text()) == {
        "slimming": {
            "version": "1.2",
            "members": ["task slim_sums"],
            "sha256": {"slimming": digest},
        }
    }
    assert (
        packaged(package("1.3"), folder)
        == "Package slimming must have version 1.2 as at the launch of this run, got 1.3. "
        "Install slimming==1.2, or launch a new run."
    )
    assert "got changes in task slim_sums" in packaged(package("1.2", "# changed\n"), folder)
    shutil.rmtree(site)
    assert (
        packaged(site, folder) == "Package slimming 1.2 is not installed for task slim_sums. "
        "Install slimming==1.2."
    )


# foreign code that fails in unusual ways


RAISING = """
class Bad(Exception):
    def __str__(self):
        raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("raise SystemExit('x' * 100_000)", "SystemExit: xxx"),
        (f"{RAISING}raise Bad", "Bad: its message raises KeyboardInterrupt"),
        (RAISING.replace("Exception", "BaseException") + "raise Bad", "Bad: its message raises"),
        ("raise ValueError('a\\nb' * 50_000)", "ValueError: a ba b"),
        (
            "from qtha_lab.plugins import Refusal"
            + RAISING.replace("Exception", "Refusal")
            + "raise Bad",
            "its message raises",
        ),
    ],
)
def test_a_plugin_that_ends_the_process_or_cannot_be_printed_is_one_sentence(plugin, code, reason):
    with pytest.raises(Refusal) as record:
        plugins.load_plugins([plugin(code)])
    assert reason in str(record.value)
    assert len(fault_log.fault_sentence(record.value)) <= 300
    assert "\n" not in str(record.value)
    done = call("check-plugin", plugin(code))
    assert isinstance(done.exception, Refusal)


@pytest.mark.parametrize(
    "code", ["raise SystemExit(3)", f"{RAISING}raise Bad", "raise KeyboardInterrupt"]
)
def test_a_package_that_ends_the_process_is_left_out(half_installed, monkeypatch, code):
    site = half_installed("words")
    (site / "half").mkdir()
    (site / "half" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(site)
    words = Registry("word", "json", group="words")
    words.add("ours", 1, module="here")
    assert list(words) == ["ours"]
    with refused("word 'gone'", "package half does not import"):
        words.get_or_refuse("gone")


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_a_member_that_ends_the_process_breaks_a_fact_of_the_contract(plugin, code):
    source = (EXAMPLES / "chain.py").read_text().replace('"chain"', '"chain_ends"')
    count = "lambda n_qubits, n_layers: n_qubits * n_layers"
    assert count in source
    source = source.replace(count, "count").replace(
        "@ansatz(", f"def count(*_):\n    {code}\n\n\n@ansatz(", 1
    )
    verdicts = testing.check_plugin(plugin(source))
    assert any(code.split()[1].split("(")[0] in verdict.seen for verdict in verdicts)


@pytest.mark.parametrize("name", ["lora", "dora", "oft", "ia3", "prompt_tuning", "hira"])
def test_a_plugin_named_as_a_method_of_peft_is_refused_and_peft_keeps_its_own(plugin, name):
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    before = dict(PEFT_TYPE_TO_CONFIG_MAPPING)
    file = plugin(named(name))
    with refused("name", f"'{name}'", rule="none of PEFT's own methods"):
        plugins.load_plugins([file])
    assert before == PEFT_TYPE_TO_CONFIG_MAPPING


def test_every_method_of_peft_that_is_listed_is_among_the_refused_names():
    from qtha_lab.adapters.peft.registration import PEFTS_OWN
    from qtha_lab.adapters.peft_methods import PEFT_METHODS

    assert {name.upper() for name in PEFT_METHODS} <= PEFTS_OWN


AFFINE = '''
"""A trained bias that is said to be linear."""

import dataclasses

from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method


@dataclasses.dataclass
class AffineConfig(AdapterConfig):
    """No settings."""


@method(
    "affine_change",
    AffineConfig,
    summary="A trained bias.",
    equation="Δy = b",
    source="a test",
    default_learning_rate=1e-3,
)
class Affine(Change):
    def tensors(self):
        return {"b": TensorSpec((self.layer.out_features,))}

    def initialise(self, tensors):
        tensors["b"].fill_(0.0 if self.config.init_weights else 0.5)

    def delta(self, tensors, x):
        return tensors["b"].expand(*x.shape[:-1], -1)

    def n_parameters(self):
        return self.layer.out_features
'''


def test_an_affine_change_is_not_merged_into_a_wrong_model(plugin):
    plugins.load_plugins([plugin(AFFINE)])
    config = adapters.get_method("affine_change").make_config(target_modules=["q_proj"])
    config.init_weights = False
    model = get_peft_model(make("llama"), config)
    with refused("Adapter 'default'", "a change as of a bias", error=NotImplementedError):
        model.merge_and_unload()
