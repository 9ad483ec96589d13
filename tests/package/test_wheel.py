"""A stranger installs the wheel: an environment and a folder of their own, no checkout in sight."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.refusals import refused
from support.trained_runs import INPUTS, ROWS, TARGETS, table_of, usage_code

from qtha_lab.core.paths import cache_dir
from qtha_lab.lessons.copying import copy_notebooks, lab_command

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built without a network."""
    (ROOT / "data" / "runs" / ".index.jsonl").unlink(missing_ok=True)  # a cache, in no archive
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel_without_tests(wheel, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    source = archive.with_name(archive.name.removesuffix(".tar.gz"))
    assert not (source / "tests").exists()
    assert not (source / "data" / "results").exists()
    assert archive.stat().st_size < 9_000_000
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    names = [set(zipfile.ZipFile(each).namelist()) for each in (wheel, again)]
    assert names[0] == names[1]


@dataclass(frozen=True)
class Stranger:
    """A fresh environment, whose programs run in a folder that is named."""

    programs: Path
    environment: dict[str, str]

    def start(self, program: str, *arguments: str, folder: Path) -> subprocess.Popen:
        folder.mkdir(exist_ok=True)
        return subprocess.Popen(
            [str(self.programs / program), *arguments],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, program: str, *arguments: str, folder: Path) -> str:
        """Return the output of a program that must succeed."""
        process = self.start(program, *arguments, folder=folder)
        output = process.communicate()[0]
        assert process.returncode == 0, output
        return output


@pytest.fixture(scope="module")
def stranger(wheel, tmp_path_factory) -> Stranger:
    """The wheel in an environment of its own; torch and the like are read from this one's."""
    place = tmp_path_factory.mktemp("stranger")
    venv = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    install = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install"]
    subprocess.run([*install, "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    # a line of a .pth file: the folder alone, not the .pth in it that leads to the checkout
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    share = Path(sys.prefix) / "share" / "jupyter"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "QTHA_LAB_RUNS")}
    environment |= {
        "HOME": str(place),
        "QTHA_LAB_CACHE": str(cache_dir()),  # of compiled kernels: they are the same code
        "QTHA_LAB_PROFILE": "ci",
        "JUPYTERLAB_DIR": str(share / "lab"),
        "JUPYTER_PATH": str(share),
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
    }
    return Stranger(venv / "bin", environment)


@pytest.mark.slow
def test_the_wheel_installs_one_top_level_module(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    (data,) = (top for top in tops if top.endswith(".data"))
    assert tops == {"qtha_lab", data}
    share = f"{data}/data/share/jupyter/labextensions/qtha-lab"
    files = {"package.json", "install.json", "static/remoteEntry.js"}
    assert {name for name in names if name.startswith(data)} == {f"{share}/{n}" for n in files}
    texts = [path.name for path in (ROOT / "notebooks").glob("*.toml")]
    assert {f"qtha_lab/notebooks/{name}" for name in (*NOTEBOOKS, *texts)} <= {*names}
    assert not [name for name in names if "__pycache__" in name]
    examples = {path.relative_to(ROOT) for path in (ROOT / "examples").rglob("*.*")}
    assert {f"qtha_lab/{path.as_posix()}" for path in examples} <= {*names}


RECIPE = "import qtha_lab.core.paths as p, runpy, sys; runpy.run_path(str(p.examples_dir() / 'recipes' / sys.argv.pop(1)), run_name='__main__')"
RECIPES = {
    "trainer.py": "peft",
    "trl_sft.py": "trl",
    "trl_dpo.py": "trl",
    "vision.py": "sklearn",
}


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "library"), RECIPES.items())
def test_a_stranger_runs_a_recipe_of_the_wheel_in_an_empty_folder(
    recipe, library, stranger, tmp_path
):
    pytest.importorskip(library)
    stranger.run("python", "-c", RECIPE, recipe, "saved", folder=tmp_path / "empty")
    saved = tmp_path / "empty" / "saved"
    assert "pip install qtha-lab" in (saved / "README.md").read_text()
    assert (saved / "adapter_model.safetensors").is_file()


@pytest.mark.slow
def test_a_stranger_runs_the_experiment_file_of_the_wheel(stranger, tmp_path):
    place = "import qtha_lab.core.paths as p; print(p.examples_dir() / 'recipes')"
    folder = stranger.run("python", "-c", place, folder=tmp_path / "empty").strip()
    assert "site-packages" in folder
    command = ("run", f"{folder}/experiment.yaml", "--out", "runs", "--json")
    output = stranger.run("qtha-lab", *command, folder=tmp_path / "empty")
    assert '"state": "finished"' in output


@pytest.mark.slow
def test_a_stranger_writes_a_plugin_from_the_wheel(stranger, tmp_path):
    stranger.run("qtha-lab", "new-plugin", "head", "mine", folder=tmp_path / "empty")
    stranger.run("qtha-lab", "check-plugin", "mine.py", folder=tmp_path / "empty")


# The tuners and simulators, in a process that has none of the workbench's libraries.
CORE = """
import sys
from importlib.machinery import PathFinder
absent = "pandas", "plotly", "pennylane", "typer", "ipywidgets", "jupyterlab", "optuna", "sklearn"
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in absent else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
import torch, qtha_lab
from peft import PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
def base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=32, hidden_size=32, intermediate_size=48,
        num_hidden_layers=1, num_attention_heads=4, max_position_embeddings=32)).eval()
ids = torch.arange(6)[None]
if sys.argv[1] == "save":
    from qtha_lab.adapters import QthaConfig
    config = QthaConfig(r=2, waist=8, n_layers=1, engine="torch", target_modules=["q_proj"], init_weights=False)
    model = get_peft_model(base(), config)
    model.save_pretrained("adapter")
    torch.save(model(ids).logits.detach(), "logits.pt")
else:
    model = PeftModel.from_pretrained(base(), "adapter")
    torch.testing.assert_close(model(ids).logits, torch.load("logits.pt"), rtol=0, atol=1e-6)
    print(model.generate(input_ids=ids, max_new_tokens=3, do_sample=False).shape)
"""


@pytest.mark.slow
def test_tuners_and_simulators_alone_save_an_adapter_that_loads_elsewhere(stranger, tmp_path):
    subprocess.run([sys.executable, "-c", CORE, "save"], cwd=tmp_path, check=True)
    output = stranger.run("python", "-c", CORE, "load", folder=tmp_path)
    assert output.splitlines()[-1] == "torch.Size([1, 9])"


@pytest.mark.slow
def test_a_stranger_compares_on_the_toy_model_in_an_empty_folder(stranger, tmp_path):
    folder = tmp_path / "empty"
    asked = (
        "compare --model tiny --task qa --methods lora(r=2),qtha(r=2,waist=8) --steps 2 --out out"
    )
    output = stranger.run("qtha-lab", *asked.split(), folder=folder)
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert [entry["state"] for entry in summary["runs"]] == ["finished", "finished"], output


@pytest.mark.slow
@pytest.mark.parametrize("kind", INPUTS)
def test_a_stranger_gets_from_a_file_to_answers(kind, stranger, tmp_path):
    """Training here, predictions from two folders alone, in each form that the cards print."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    asked = "--method lora(r=2) --steps 2 --batch-size 4 --max-length 48 --generate-rows 0"
    asked += " --eval-rows 4 --test-rows 4 --max-new-tokens 8 --out runs --json"
    file = str(table_of(first, kind))
    stranger.run("qtha-lab", "run", "--task", file, *asked.split(), folder=first)
    (run,) = (first / "runs").glob("*/experiment.yaml")
    for form in ("adapter", "merged"):
        to = str(second / form)
        stranger.run("qtha-lab", "export", str(run.parent), form, "--to", to, folder=first)
    shutil.rmtree(first)
    row = INPUTS[kind] if isinstance(INPUTS[kind], tuple) else (INPUTS[kind],)
    names = [name for name in ROWS[kind][0] if name not in TARGETS]
    new = second / "new.csv"
    new.write_text(f"{','.join(names)}\n{','.join(row)}\n")
    target = {"numbers": "number", "answers": "answer"}.get(kind, "label")
    shown = []
    for form in ("adapter", "merged"):
        output = stranger.run("qtha-lab", "predict", form, "new.csv", "--json", folder=second)
        shown.append(json.loads(output.splitlines()[-1])[f"predicted_{target}"])
        code = f"FOLDER = {form!r}\n{usage_code((second / form / 'README.md').read_text())}"
        lines = stranger.run("python", "-W", "ignore", "-c", code, folder=second)
        shown.append(_value(eval(lines.splitlines()[-1], {}), target))
    if target == "label" and kind == "ordered":  # the lines of a merged model print the number
        shown[3] = min("12345", key=lambda label: abs(float(label) - shown[3]))
    if target == "number":
        assert shown == pytest.approx(shown[:1] * 4, rel=1e-4)
    else:
        assert len({*shown}) == 1


def _value(printed, target: str):
    """Return the label, number or answer among what the lines of a card print."""
    if isinstance(printed, float):
        return printed
    (record,) = printed
    if "generated_text" in record:
        return record["generated_text"][-1]["content"].strip()
    return record[target]


@pytest.mark.slow
def test_a_stranger_opens_jupyterlab_on_copies_of_the_notebooks(stranger, tmp_path):
    command = ("qtha-lab", "lab", "--no-browser", "--port", "18890")
    with stranger.start(*command, folder=tmp_path / "mine") as server:
        try:
            address = _address(server, Path(stranger.environment["JUPYTER_RUNTIME_DIR"]))
            listing = json.load(urllib.request.urlopen(address.replace("?", "api/contents?")))
            page = urllib.request.urlopen(address.replace("?", "lab/tree/00_tour.ipynb?")).read()
        finally:
            server.terminate()
    assert sorted(item["name"] for item in listing["content"]) == NOTEBOOKS
    assert b"JupyterLab" in page
    shared = stranger.programs.parent / "share" / "jupyter" / "labextensions"
    assert (shared / "qtha-lab" / "static" / "remoteEntry.js").is_file()
    assert b'"qtha-lab"' in page  # the tile, among the extensions of the server


def _address(server: subprocess.Popen, records: Path) -> str:
    """Return the address of a started Jupyter server, with its token.

    It notes the place before it listens.
    """
    while server.poll() is None:
        for record in records.glob("jpserver-*.json"):
            if text := record.read_text():
                answer = json.loads(text)
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(("localhost", answer["port"])).close()
                    return f"{answer['url']}?token={answer['token']}"
        time.sleep(0.1)
    raise AssertionError(server.stdout and server.stdout.read())


# The tour, then a question to its kernel: where the panels are from, and whose `widgets` is
# imported.
TOUR = """
import nbclient, nbformat
tour = nbformat.read("00_tour.ipynb", 4)
tour.cells.append(nbformat.v4.new_code_cell(
    "import qtha_lab.widgets.workbench.form, widgets; from qtha_lab.widgets import Workbench\\n"
    "print(qtha_lab.__file__, widgets.mine, Workbench.__module__)"
))
nbclient.execute(tour, timeout=600, kernel_name="python3")
print(tour.cells[-1].outputs[0].text)
"""


@pytest.mark.slow
def test_a_stranger_runs_the_tour_with_the_panels_of_the_package_and_no_other_widgets(
    stranger, tmp_path
):
    copy_notebooks(tmp_path)
    (tmp_path / "widgets.py").write_text("mine = 5\n")  # a name that anybody may have taken
    place, mine, module = (
        stranger.run("python", "-c", TOUR, folder=tmp_path).splitlines()[-2].split()
    )
    assert "site-packages" in place
    assert (mine, module) == ("5", "qtha_lab.widgets.workbench.workbench")
    runs = [path.parent for path in tmp_path.glob("runs/*/experiment.yaml")]
    assert len(runs) == 5  # three methods, and QTHA on two engines


# the folder of notebooks


def test_notebooks_that_are_there_already_stay_as_they_are(tmp_path):
    (tmp_path / "00_tour.ipynb").write_text("mine")
    copies = copy_notebooks(tmp_path)
    assert (copies.new, copies.changed) == (tuple(NOTEBOOKS[1:]), ("00_tour.ipynb",))
    assert (tmp_path / "00_tour.ipynb").read_text() == "mine"
    again = copy_notebooks(tmp_path)
    assert (again.new, again.changed) == ((), ("00_tour.ipynb",))


def test_a_checkout_gets_no_copies_of_its_own_notebooks():
    for folder in (ROOT, ROOT / "notebooks"):
        assert copy_notebooks(folder).folder == ROOT / "notebooks"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with refused("The target of notebooks", "the file"):
        copy_notebooks(tmp_path / "file")


def test_the_server_opens_at_the_tour_and_without_a_page_where_asked(tmp_path):
    command = lab_command(tmp_path, 8890, browser=False)
    assert {"--port=8890", "--no-browser", f"--ServerApp.root_dir={tmp_path}"} <= {*command}
    assert "--no-browser" not in lab_command(tmp_path, 8890, browser=True)
