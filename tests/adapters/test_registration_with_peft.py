"""PEFT knows a saved QTHA after `import qtha_lab`, whichever of the two is imported first."""

import subprocess
import sys

import pytest
import torch
from peft import get_peft_model
from support.small_models import make

from qtha_lab.adapters import QthaConfig

LOAD = """
import sys
from transformers import LlamaForCausalLM
base = LlamaForCausalLM.from_pretrained(sys.argv[1])
from peft import PeftModel
print(type(PeftModel.from_pretrained(base, sys.argv[2]).base_model).__name__)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    make("llama").save_pretrained(folder / "base")
    torch.manual_seed(0)
    config = QthaConfig(r=2, waist=8, bond_dim=2, target_modules=["q_proj"])
    get_peft_model(make("llama"), config).save_pretrained(folder / "adapter")
    return folder


def run(*code: str, folder="") -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "\n".join(code)]
    places = [str(folder / "base"), str(folder / "adapter")] if folder else []
    return subprocess.run([*command, *places], capture_output=True, text=True)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param("import qtha_lab, peft", marks=pytest.mark.slow),
        pytest.param("import peft, qtha_lab", marks=pytest.mark.slow),
        "import qtha_lab",
    ],
)
def test_a_saved_adapter_loads_by_peft_in_either_order_of_imports(saved, order):
    done = run(order, LOAD, folder=saved)
    assert done.stdout.split() == ["QthaModel"], done.stderr[-2000:]


@pytest.mark.slow
def test_peft_is_imported_once_and_as_ever():
    done = run(
        "import qtha_lab, peft, sys, importlib.resources, inspect",
        "assert 'def' in inspect.getsource(peft.mapping)",
        "assert peft.__spec__.loader.get_filename('peft') == peft.__file__",
        "assert not any(type(f).__name__ == '_AfterPeft' for f in sys.meta_path)",
        "print('QTHA' in peft.PeftType.__members__)",
    )
    assert done.stdout.split() == ["True"], done.stderr[-2000:]


def test_neither_is_loaded_by_the_import_of_ours():
    done = run("import qtha_lab, sys; print('peft' in sys.modules, 'torch' in sys.modules)")
    assert done.stdout.split() == ["False", "False"]
