"""The door for plugins: a file or a module brings a method or an ansatz, and is refused in a sentence when it cannot."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from small_models import make

from qtha_lab import adapters, ansatze, plugins
from qtha_lab.errors import Refusal
from qtha_lab.registry import Registry

EXAMPLES = Path(__file__).parent.parent / "examples"
SOURCE = (EXAMPLES / "diagonal.py").read_text()


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


def test_the_door_holds_what_it_promises():
    for name in plugins.__all__:
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
    assert config.circuit().counts() == {"RY": 18, "CNOT": 6}  # 3 layers: 3 + 3 RY, 2 CNOT


def test_a_changed_file_is_imported_anew_and_replaces_what_it_registered(plugin):
    file = plugin(named("slim_two"))
    plugins.load_plugins([file])
    first = plugins.fingerprints([file])
    plugins.load_plugins([plugin(named("slim_two").replace("setting(8,", "setting(5,"))])
    assert plugins.fingerprints([file]) != first
    assert adapters.get_method("slim_two").make_config().r == 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import nothing_of_that_name", "mine.py:1 does not import: ModuleNotFoundError"),
        ("x = (", "does not import: SyntaxError"),
        (named("qtha"), "there is a method 'qtha' already, in qtha_lab.adapters.qtha"),
        ("from qtha_lab.plugins import nonsense", "does not import: ImportError"),
    ],
)
def test_what_does_not_import_or_clashes_is_refused_in_a_sentence(plugin, text, sentence):
    with pytest.raises(Refusal) as refused:
        plugins.load_plugins([plugin(text)])
    assert sentence in str(refused.value)
    assert adapters.get_method("qtha").make_config().r == 8  # ours stands as it was


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no/such/file.py", "there is no plugin file no/such/file.py"),
        ("no_such_module", "plugin 'no_such_module' is no module that can be imported"),
        ("no_such.module", "plugin 'no_such.module' is no module that can be imported"),
    ],
)
def test_a_plugin_that_is_not_there_is_refused(name, sentence):
    for attempt in (plugins.load_plugins, plugins.fingerprints):
        with pytest.raises(Refusal, match=sentence):
            attempt([name])


def test_a_package_that_is_half_installed_is_left_out_and_said(tmp_path, monkeypatch):
    info = tmp_path / "half-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[words]\ngone = half.gone\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = Registry("word", "json", group="words")
    words.add("kept", 1, module="here")
    assert list(words) == ["kept"]
    assert words.broken == {"gone": "ModuleNotFoundError: No module named 'half'"}
