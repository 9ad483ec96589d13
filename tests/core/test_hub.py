"""Ids of the hub: the real clients against a small hub or a cache of the test's own."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.waiting import PATIENCE

from qtha_lab.core.paths import data_dir

TINY = data_dir() / "models" / "tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {file.name: file.read_bytes() for file in TINY.glob("*") if file.is_file()}
FILES["modeling_evil.py"] = b"raise SystemExit('this code ran')"
FILES["pytorch_model.bin"] = b"a pickle"


class Hub(BaseHTTPRequestHandler):
    """Answers the three questions that `snapshot_download` asks, for the one model lab/toy."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = self.path.split("?")[0]
        if path == "/":
            return self.send(b"a hub", body)
        if path.startswith("/api/models/lab/toy"):
            siblings = [{"rfilename": name} for name in FILES]
            tree = [
                {"type": "file", "path": name, "size": len(FILES[name]), "oid": "0"}
                for name in FILES
            ]
            info = (
                tree if "/tree/" in path else {"id": "lab/toy", "sha": COMMIT, "siblings": siblings}
            )
            return self.send(json.dumps(info).encode(), body, type="application/json")
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/lab/toy/resolve/") and name in FILES:
            return self.send(FILES[name], body)
        self.send(b"", body, status=404, error="RepoNotFound")

    def send(self, content, body, status=200, type="application/octet-stream", error=None):
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub_environment(tmp_path):
    """The environment of a process that knows no hub but the test's own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "QTHA_LAB_CACHE": str(tmp_path / "cache"),
    }
    yield os.environ | own
    server.shutdown()
    server.server_close()


def python(code, environment, folder=None):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


FETCH = """
from qtha_lab import models
try:
    models.check_model("lab/toy")
except ValueError as error:
    print(error)
folder = models.fetch("lab/toy", say=lambda line: None)
print(sorted(file.name for file in folder.iterdir()))
try:
    models.fetch("lab/nothing", say=lambda line: None)
except ValueError as error:
    print(error)
"""
LOAD = """
from qtha_lab import models
toy, tiny = models.load_model("lab/toy"), models.load_model("tiny")
print(toy.source, toy.model.num_parameters() == tiny.model.num_parameters(), models.default_target_modules("lab/toy"))
"""


@pytest.mark.slow
def test_a_hub_model_is_fetched_without_its_code_and_then_loads_offline(hub_environment):
    missing, files, unknown = python(FETCH, hub_environment)
    assert (
        missing
        == "Model lab/toy is not on this machine. Download it from the hub with `qtha-lab fetch"
        " lab/toy`."
    )
    assert "model.safetensors" in files
    assert "modeling_evil.py" not in files
    assert "pytorch_model.bin" not in files
    assert (
        unknown == "lab/nothing is no public model of the hub. Correct the name,"
        " or log in with `hf auth login`."
    )
    loaded = python(LOAD, hub_environment | {"HF_HUB_OFFLINE": "1"})
    assert loaded == ["https://huggingface.co/lab/toy True ['q_proj', 'v_proj']"]


# The cache of data sets, as `datasets` leaves it after a download from the hub.
CACHE = """
from pathlib import Path
from datasets import config
from datasets.packaged_modules.csv.csv import Csv
rows = Path("rows.csv")
rows.write_text("question,answer\\n" + "".join(f"What is {i}?,It is {i}.\\n" for i in range(60)))
cache, files = Path(config.HF_DATASETS_CACHE), {"train": [str(rows)]}
Csv(cache_dir=str(cache), dataset_name="rows", hash="01", data_files=files).download_and_prepare()
(made,) = (cache / "rows").iterdir()
made.rename(made.with_name("default"))
(cache / "rows").rename(cache / "lab___rows")
"""
READ = """
from qtha_lab import tasks
task = tasks.load_task("lab/rows")
print(task.kind, sum(map(len, (task.train, task.eval, task.test))), task.source)
try:
    tasks.load_task("lab/nothing")
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_data_set_of_the_hub_is_read_from_the_cache_without_a_network(tmp_path):
    own = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    python(CACHE, os.environ | own, tmp_path)
    read, unknown = python(READ, os.environ | own, tmp_path)
    assert read == "lm 60 https://huggingface.co/datasets/lab/rows"
    assert unknown.startswith("Data set lab/nothing cannot be loaded: ")
    assert unknown.endswith("Correct the name, connect to the hub, or save the rows as a file.")
    assert len(unknown) <= 300
