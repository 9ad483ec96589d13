"""Read data files, model folders, adapters, plugins and circuits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ..mutation import documents, sentences, words_of
from .registry import TRAINING, lines_of, reader


def _rows(*keys: str) -> Callable[[], list[bytes]]:
    """Thirty lines of a file of one's own."""
    rows = [{k: f"{k} {n % 7 if k == 'label' else n}" for k in keys} for n in range(30)]
    return lambda: [lines_of(rows)]


def _task(file: Path) -> None:
    from qtha_lab.tasks import load_task

    task = load_task(str(file))
    _ = task.fingerprint


PROMPTS = {"prompt": "a", "response": "b"}, {"instruction": "c", "output": "d"}


@reader(
    _rows("prompt", "response"), file="a.jsonl", grammar=lambda: documents(*PROMPTS, lines=True)
)
def own_prompts(file: Path) -> None:
    _task(file)


LABELS = {"text": "a", "label": "b"}, {"text": "c", "label": 1}


@reader(_rows("text", "label"), file="a.jsonl", grammar=lambda: documents(*LABELS, lines=True))
def own_labels(file: Path) -> None:
    _task(file)


TURNS = [
    {"role": role, "content": text}
    for role, text in (("system", "s"), ("user", "u"), ("assistant", "a"))
]


@reader(
    lambda: [
        lines_of([{"messages": [{**turn, "content": f"{n}"} for turn in TURNS]} for n in range(30)])
    ],
    grammar=lambda: documents({"messages": TURNS}, lines=True),
    file="a.jsonl",
)
def own_chats(file: Path) -> None:
    _task(file)


def _folder(file: Path) -> Path:
    """A model folder beside a file of it that is under attack."""
    from qtha_lab.core.paths import data_dir

    for other in (data_dir() / "models" / "tiny").iterdir():
        if other.name != file.name and not (file.parent / other.name).exists():
            (file.parent / other.name).symlink_to(other)
    return file.parent


def _of_tiny(name: str) -> Callable[[], list[bytes]]:
    from qtha_lab.core.paths import data_dir

    return lambda: [(data_dir() / "models" / "tiny" / name).read_bytes()]


@reader(
    _of_tiny("config.json"),
    file="model/config.json",
    share=0.3,
    grammar=lambda: documents(json.loads(_of_tiny("config.json")()[0])),
)
def model_config(file: Path) -> None:
    from qtha_lab import Experiment, models
    from qtha_lab.models.loading import default_target_modules

    folder = str(_folder(file))
    default_target_modules(folder)
    models.empty_model(folder)
    Experiment(model=folder, method="lora", training=TRAINING).check()


@reader(_of_tiny("tokenizer_config.json"), file="tokens/tokenizer_config.json", share=0.2)
def tokenizer_config(file: Path) -> None:
    _load(file)


BPE = {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "decoder": None}


@reader(
    _of_tiny("tokenizer.json"),
    file="words/tokenizer.json",
    share=0.1,
    grammar=lambda: documents({**BPE, "added_tokens": [], "pre_tokenizer": None}),
)
def tokenizer(file: Path) -> None:
    _load(file)


def _load(file: Path) -> None:
    from qtha_lab import models

    loaded = models.load_model(str(_folder(file)))
    loaded.tokenizer("a question")


TEMPLATE = words_of(
    "{% for m in messages %}|{{ m.content }}|{% endfor"
    " %}|{{|}}|{%|%}|m['role']|raise_exception('no')|{% for i in range(10**9) %}|{% if 1"
    " %}|messages|{{ 'x' * 10**9 }}",
    at="|",
)


@reader(_of_tiny("chat_template.jinja"), share=0.1, grammar=lambda: sentences(*TEMPLATE))
def chat_templates(text: str) -> None:
    from qtha_lab.models.tokenizers import check_template
    from qtha_lab.tasks.messages import answer_spans

    check_template(text, "a folder")
    tokenizer = _tokenizer()
    tokenizer.chat_template = text
    answer_spans(TURNS, tokenizer)


@cache
def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    from qtha_lab.core.paths import data_dir

    return AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")


@cache
def _adapters() -> tuple[Path, ...]:
    """Saved adapters of LoRA and QTHA on a model of two small layers."""
    import torch
    from peft import LoraConfig
    from support import small_models

    from qtha_lab import adapters

    torch.manual_seed(0)
    folders = []
    for name, config in {
        "lora": LoraConfig(r=2),
        "qtha": adapters.QthaConfig(r=2, waist=8),
    }.items():
        config.target_modules = {"q_proj", "v_proj"}
        model = adapters.add_adapter(small_models.make("llama"), config)
        folder = Path("adapters", name).absolute()
        model.save_pretrained(str(folder))
        folders.append(folder)
    return tuple(folders)


def _saved(name: str) -> Callable[[], list[bytes]]:
    return lambda: [(folder / name).read_bytes() for folder in _adapters()]


def _load_adapter(file: Path) -> None:
    from support import small_models

    from qtha_lab import adapters

    source = _adapters()[0]
    for other in ("adapter_config.json", "adapter_model.safetensors"):
        if other != file.name and not (file.parent / other).exists():
            shutil.copy(source / other, file.parent / other)
    adapters.load_adapter(small_models.make("llama"), file.parent)


@reader(
    _saved("adapter_config.json"),
    file="config/adapter_config.json",
    share=0.5,
    grammar=lambda: documents(*map(json.loads, _saved("adapter_config.json")())),
)
def adapter_configs(file: Path) -> None:
    _load_adapter(file)


def _headers() -> st.SearchStrategy[bytes]:
    header = {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {}}
    return documents(header).map(lambda h: len(h).to_bytes(8, "little") + h + bytes(16))


@reader(
    _saved("adapter_model.safetensors"),
    file="tensors/adapter_model.safetensors",
    share=0.5,
    grammar=_headers,
)
def safetensors_headers(file: Path) -> None:
    _load_adapter(file)


def _trained_angles() -> list[bytes]:
    from qtha_lab.adapters.initialisation.angles.pretraining import AngleModel

    AngleModel(["RY.0", "CRZ.0"]).save(Path("angles"))
    return [Path("angles").read_bytes()]


@reader(_trained_angles, file="trained.angles", share=0.3, grammar=_headers)
def trained_angles(file: Path) -> None:
    from qtha_lab.adapters.initialisation.angles.pretraining import AngleModel

    AngleModel.load(file)


CODE = words_of(
    "raise |KeyError|('a')|\n|import |os|x = 1|    |def f():|'|class A:|# coding: utf-7|(|f'{",
    at="|",
)


@reader(
    "import math\nfrom qtha_lab.plugins import method\nvalue = math.pi\n",
    "class Bad(Exception):\n    def __str__(self):\n        raise Bad\nraise Bad\n",
    "raise KeyboardInterrupt\n",
    "raise SystemExit('x' * 100000)\n",
    "raise KeyError('\\x1b[31m')\n",
    grammar=lambda: sentences(*CODE),
    file="plugin.py",
)
def plugins(file: Path) -> None:
    from qtha_lab.core.plugin_loading import fingerprints, load_plugins

    fingerprints([str(file)])
    load_plugins([str(file)])


GATES = [["RY", [0], [["input", 0, 1.0, 0.0]], None], ["CNOT", [0, 1], [], None]]


@reader({"n_qubits": 2, "start": "zero", "gates": GATES})
def circuits(text: str) -> None:
    from qtha_lab.circuits.exports import to_qasm
    from qtha_lab.circuits.json_text import circuit_of, circuit_text

    circuit = circuit_of(text)
    circuit_text(circuit), to_qasm(circuit), circuit.draw()
