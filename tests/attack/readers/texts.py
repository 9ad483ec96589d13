"""Read descriptions, and texts from fields, flags and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ..mutation import sentences, words_of
from ..outcome import command
from .registry import TRAINING, reader

CALLS = words_of(
    "lora qtha lora(r=4) qtha(r=4,waist=16) dora(r=2,alpha=4) qtha(in_dims=[4,4]) none"
    " qtha(r=4)+controls lora(target_modules=[q_proj]) qtha(ansatz=brickwork,engine=cpu)"
    " lora(rank_pattern={v_proj:2})"
)
EXPERIMENT = {
    "model": "tiny",
    "task": "qa",
    "method": {"name": "lora", "options": {"r": 4}},
    "seed": 0,
    "name": "a",
    "plugins": [],
    "training": TRAINING,
}
SEVERAL = {
    "model": "tiny",
    "task": "qa",
    "methods": ["lora(r=2)", "qtha"],
    "seeds": [0, 1],
    "training": TRAINING,
}
AXES = {"learning_rate": "1e-4..1e-1 log 4", "steps": [1, 2], "qtha.r": "1..8"}


@reader(EXPERIMENT, {"method": "qtha"}, file="experiment.yaml", share=2)
def experiment(file: Path) -> None:
    from qtha_lab import Experiment

    described = Experiment.from_yaml(file)
    _forms(described)
    _ = described.method.label


@reader(
    SEVERAL,
    {**SEVERAL, "tuning": {"axes": AXES, "seeds": [7], "trials": 4}},
    file="comparison.yaml",
)
def comparison(file: Path) -> None:
    from qtha_lab import Comparison

    _forms(Comparison.from_yaml(file))


@reader({**SEVERAL, "axes": AXES}, {**SEVERAL, "axes": {"steps": "1..8"}, "trials": 3, "search": "tpe"},
        file="sweep.yaml")  # fmt: skip
def sweep(file: Path) -> None:
    from qtha_lab.experiment import Sweep

    described = Sweep.from_yaml(file)
    _forms(described)
    for method in described.methods:
        described.trials_of(method)
        if described.search == "grid":
            described.grid(method)


@reader(
    {**SEVERAL, "clients": 2, "rounds": 2, "split": "dirichlet(0.3)"},
    file="federation.yaml",
    share=0.5,
)
def federation(file: Path) -> None:
    from qtha_lab.experiment import Federation

    _forms(Federation.from_yaml(file))


def _forms(described: Any) -> None:
    described.to_yaml(), described.to_command(), described.to_python()


# texts in a field or a flag


@reader(
    "method = qtha and learning_rate >= 0.003 and best in tags",
    "r in (4, 8) and not eval_loss > 4",
    "'a b' in name or (seed != 1)",
    words="method r seed tag = != < >= : in ( ) , and or not none 'a' qtha pinned",
)
def filters(text: str) -> None:
    from qtha_lab.runs.table import query
    from qtha_lab.runs.table.frame import as_frame

    rows = [{"method": "qtha", "r": 4, "tags": ["best"], "name": ""}, {"r": None, "eval_loss": 1.5}]
    query(as_frame(rows), text, "-r,method")


@reader(
    "1e-4..1e-1 log 4",
    "1..8",
    "0.1, 0.2",
    "[cosine, linear]",
    "1…5 3",
    words="1 .. … log linear , 0.1 1e-4 1e9 [ ] [2,2] a true",
)
def axes(text: str) -> None:
    from qtha_lab.experiment.axes import Axis

    axis = Axis.of(text)
    axis.ends(), axis.written, axis.grid()


@reader(
    *CALLS,
    words=(
        "lora qtha ( ) r = 4 , waist [ ] { } : alpha target_modules q_proj layers_pattern +controls"
    ),
)
def calls(text: str) -> None:
    from qtha_lab import Comparison, Experiment

    _ = Experiment(method=text).method.label
    Comparison(methods=text).to_command()


@reader(
    *words_of("mlp(hidden=32) round(w=3,g=64) linear(steps=2),all(steps=2,train=[B]) 3/8 int4"),
    "3/8 dirichlet(0.3)",
)
def labels(text: str) -> None:
    from qtha_lab import Experiment
    from qtha_lab.core.errors import Refusal
    from qtha_lab.experiment.objectives import named_phases
    from qtha_lab.tasks.client_shards import ClientShare

    refusals = []
    for read in (
        lambda: Experiment(head=text),
        lambda: Experiment(quantization=text),
        lambda: Experiment(training={"phases": text, "steps": 4}),
        lambda: Experiment(training={"report_to": text}),
        lambda: Experiment(name=text, model=text).check(),
        lambda: named_phases(text),
        lambda: ClientShare.parse(text),
    ):
        try:
            read()
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise max(refusals, key=lambda refusal: len(str(refusal)))


HEADS = words_of(  # a picture waits for a browser that computes elsewhere, which reads as a hang
    "runs|runs list|runs tag|runs note|runs rename|runs pin|runs delete|runs restore|runs"
    " trash|methods|run --dry-run|sweep --dry-run|compare --dry-run|federate"
    " --dry-run|export|stop|resume|report|evaluate|check-plugin|ansatze show|reproduce"
    " --list|plot --formats csv",
    at="|",
)
WORDS = words_of(
    "--where --sort --columns --json --csv --group seeds --method lora(r=2) --steps 1 --model tiny"
    " --task qa --axes steps=1,2 --epochs 1e308 --seeds 0,1 --out out experiment.yaml --trash"
    " --remove a-run --r --to --samples brickwork --help --plugins x.py --threads --quantization"
    " lora(layers_pattern='(') 999999999 1..1000000000"
)


def _lines_of_commands() -> st.SearchStrategy[bytes]:
    parts = st.tuples(st.sampled_from(HEADS), sentences(*WORDS))
    return parts.map(lambda pair: pair[0].encode() + b" " + pair[1])


@reader(
    "runs list --where r>2",
    "run --dry-run --method lora(r=2) --steps 1",
    "sweep --dry-run --axes steps=1,2",
    "sweep --dry-run",
    "inspect ansatz brickwork",
    grammar=_lines_of_commands,
    share=0.5,
)
def command_lines(text: str) -> None:
    words = text.replace("\0", "").split(" ")
    head = next(
        (h for h in sorted(HEADS, key=len, reverse=True) if text.startswith(h)), "runs list"
    )
    command(*head.split(), *words[len(head.split()) :])
