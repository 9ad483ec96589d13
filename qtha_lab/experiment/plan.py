"""Properties of an experiment before weights are loaded: rows, sizes, config, circuits and bytes.

Each part is computed on first use and cached for all plans with the same dependencies. `validation`
decides if an experiment may run.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import digest
from qtha_lab.core.paths import as_path
from qtha_lab.experiment import memory
from qtha_lab.experiment.cache import Cache
from qtha_lab.experiment.method_list import leaves_open, method_entry

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel

    from qtha_lab.adapters import Layout
    from qtha_lab.circuits import Circuit
    from qtha_lab.experiment.description import RunDescription
    from qtha_lab.experiment.method_choice import MethodChoice
    from qtha_lab.models.catalogue import Head
    from qtha_lab.tasks import Task
    from qtha_lab.tasks.task import Kind

log = logging.getLogger(__name__)

HEADS: dict[Kind, Head] = {
    "lm": "causal-lm",
    "text": "causal-lm",
    "classification": "classification",
    "regression": "classification",
    "preference": "causal-lm",
}
TASK_TYPES = {
    kind: "CAUSAL_LM" if head == "causal-lm" else "SEQ_CLS" for kind, head in HEADS.items()
}
SAMPLED_ROWS = 64
PEFT_HEADS = ("classifier", "score")

_TASKS: Cache[Task] = Cache("task", most=4)
_MODELS: Cache[PreTrainedModel] = Cache("skeleton", most=4)
_LENGTHS: Cache[tuple[int, ...]] = Cache("row lengths", most=32)
_LAYOUTS: Cache[Layout] = Cache("layout", most=64)


def resolve(experiment: RunDescription) -> Plan:
    """Create the plan of an experiment; imports its plugins.

    All other parts are computed later.

    Raises:
        Refusal: If a plugin cannot be imported.

    Example:
        >>> from qtha_lab.experiment import Experiment
        >>> plan = resolve(Experiment(method="lora(r=2)"))
        >>> plan.layout.trainable  # 6 blocks: 2 (192 + 192) of q_proj, 2 (192 + 64) of v_proj
        7680
        >>> plan.circuits
        mappingproxy({})
    """
    from qtha_lab.core.plugin_loading import load_plugins

    load_plugins(experiment.plugins)
    log.debug("plan of %s on %s", experiment.method.label, experiment.task)
    return Plan(experiment)


@dataclass(frozen=True)
class Plan:
    """Experiment with its derived properties, which are shared and must not be modified.

    Every part except `experiment` may raise `Refusal`, as `validation.check_run` does.
    """

    experiment: RunDescription

    @cached_property
    def task(self) -> Task:
        """Task with its training, evaluation and test rows."""
        from qtha_lab.tasks import load_task

        experiment = self.experiment
        whole = _TASKS.get(
            self._task_key,
            lambda: load_task(
                experiment.task,
                seed=experiment.seed,
                train_rows=experiment.training.train_rows,
                eval_rows=experiment.training.eval_rows,
                test_rows=experiment.training.test_rows,
                sealed=experiment.training.sealed,
                **experiment.task_options,
            ),
        )
        from qtha_lab.models import is_encoder_decoder

        if is_encoder_decoder(experiment.model):
            whole = dataclasses.replace(whole, is_seq2seq=True)
        if not experiment.training.share:
            return whole
        from qtha_lab.tasks.client_shards import ClientShare

        return ClientShare.parse(experiment.training.share).of(whole, experiment.seed)

    @cached_property
    def steps(self) -> int:
        """Number of optimiser steps: the given number, or the number computed from epochs."""
        training = self.experiment.training
        if training.epochs is None:
            return training.steps
        batches = math.ceil(len(self.task.train) / training.batch_size)
        return math.ceil(training.epochs * math.ceil(batches / training.gradient_accumulation))

    def as_recorded(self) -> RunDescription:
        """Return the experiment as a run records it.

        The steps of its epochs and the size of its method are stored as numbers.
        """
        training, method = self.experiment.training, self.experiment.method
        try:
            method = self.method
        except Refusal as reason:  # the worker refuses the method later
            log.debug("the size of %s stays open: %s", method.label, reason)
        if training.epochs is not None:
            training = training.replace(steps=self.steps)
        return self.experiment.replace(training=training, method=method)

    @cached_property
    def method(self) -> MethodChoice:
        """Method with resolved sizes, where its options leave them open."""
        choice = self.experiment.method
        if not leaves_open(choice.name, choice.options):
            return choice
        before, after = self._as_chosen, self.config
        names = method_entry(choice.name).settings
        chosen = {n: v for n in names if (v := getattr(after, n)) != getattr(before, n)}
        return choice.replace(options=choice.options | chosen)

    @property
    def has_rows(self) -> bool:
        """True if the rows are already cached by this or another plan."""
        return self._task_key is not None and self._task_key in _TASKS

    @cached_property
    def model(self) -> PreTrainedModel:
        """Base model on the meta device: modules without weights."""
        from qtha_lab.models import empty_model

        head, n_labels, reader = self.head, self.n_labels, self.reader
        return _MODELS.get(
            self.model_key,
            lambda: empty_model(self.experiment.model, head=head, n_labels=n_labels, reader=reader),
        )

    @property
    def head(self) -> Head:
        """Kind of output head for this kind of task."""
        from qtha_lab.models import is_encoder_decoder

        if self.task.kind == "lm" and is_encoder_decoder(self.experiment.model):
            return "seq2seq"
        return HEADS[self.task.kind]

    @property
    def task_type(self) -> str:
        """PEFT's name for the kind of task."""
        return "SEQ_2_SEQ_LM" if self.head == "seq2seq" else TASK_TYPES[self.task.kind]

    @property
    def n_labels(self) -> int | None:
        """Outputs of the head: classes, 1 for a regression, None for a task that writes."""
        return 1 if self.task.kind == "regression" else len(self.task.labels) or None

    @property
    def reader(self) -> str:
        """Classification head of the experiment; empty for the model's own head or a text task."""
        return self.experiment.head if self.task.kind == "classification" else ""

    @cached_property
    def target_modules(self) -> list[str] | str:
        """Layers to adapt: the chosen ones, or the model's default; may be "all-linear"."""
        from qtha_lab.models import default_target_modules

        names = self.experiment.method.target_modules
        return names or default_target_modules(self.experiment.model)

    @cached_property
    def config(self) -> PeftConfig:
        """PEFT config of the method, sized for the model; copy it before PEFT modifies it."""
        from qtha_lab.adapters.peft import AdapterConfig

        config = self._as_chosen
        if isinstance(config, AdapterConfig) and config.is_open:
            return config.sized_for(self.layout.sizes)
        return config

    @cached_property
    def _as_chosen(self) -> PeftConfig:
        """PEFT config of the options alone."""
        from qtha_lab.adapters import get_method

        choice = self.experiment.method
        return get_method(choice.name).make_config(
            task_type=self.task_type,
            target_modules=self.target_modules,
            **{**choice.options, **self._head_modules},
        )

    @property
    def _head_modules(self) -> dict[str, list[str]]:
        """Modules of the head to train and save whole, unknown to PEFT."""
        from qtha_lab.models.weights import head_modules

        if self.head != "classification":
            return {}
        names = [name for name in head_modules(self.model) if not name.endswith(PEFT_HEADS)]
        chosen = self.experiment.method.options.get("modules_to_save") or []
        return {"modules_to_save": [*chosen, *names]} if names else {}

    @property
    def start_rows(self) -> int:
        """Number of training rows that the initialisation may read; 0 for most methods."""
        from qtha_lab.adapters import get_method, initialisation_rows

        choice = self.experiment.method
        return get_method(choice.name).start_rows(choice.options) or initialisation_rows(
            self.config
        )

    @cached_property
    def layout(self) -> Layout:
        """Adapted layers with their sizes, trainable parameters and circuits."""
        return self._layout(self._as_chosen)

    @cached_property
    def usual_lora(self) -> tuple[PeftConfig, Layout]:
        """LoRA at its defaults on the same layers, for a comparison of sizes."""
        from qtha_lab.adapters import get_method

        config = get_method("lora").make_config(
            task_type=self.task_type, target_modules=self.target_modules, **self._head_modules
        )
        return config, self._layout(config)

    @property
    def circuits(self) -> Mapping[Circuit, int]:
        """Number of layers per circuit."""
        return self.layout.circuits

    @cached_property
    def row_lengths(self) -> tuple[int, ...]:
        """Token lengths of the first `SAMPLED_ROWS` training rows."""
        model, task, training = self.model_key, self._task_key, self.experiment.training
        part = training.share, training.max_length
        key = None if model is None or task is None else (model, task, *part)
        return _LENGTHS.get(key, self._count_tokens)

    @cached_property
    def bytes(self) -> Mapping[str, int]:
        """Minimum bytes of a step by purpose (see `memory.bytes_needed`)."""
        return memory.bytes_needed(
            self.experiment.training,
            self.model,
            self.config,
            trainable=self.layout.trainable,
            circuits=self.circuits,
            width=max(self.row_lengths),
        )

    # cache keys: dependencies of each part

    @cached_property
    def _task_key(self) -> Hashable | None:
        experiment, training = self.experiment, self.experiment.training
        source = _task_source(experiment.task)
        if source is None:
            return None
        options = _text(experiment.task_options)
        rows = training.train_rows, training.eval_rows, training.test_rows, training.sealed
        return source, options, experiment.seed, rows

    @cached_property
    def model_key(self) -> Hashable | None:
        """Model, its files and its head; None for a missing model."""
        from qtha_lab.models.catalogue import locate
        from qtha_lab.models.loading import files_of

        folder = locate(self.experiment.model)
        if folder is None:
            return None
        return self.experiment.model, files_of(folder), self.head, self.n_labels, self.reader

    def _layout(self, config: PeftConfig) -> Layout:
        from qtha_lab.adapters import layout_of
        from qtha_lab.circuits.ansatze.registry import ANSATZE

        model = self.model_key
        # registering a plugin again changes the config class; an ansatz changes its entry
        place = (model, type(config), _text(config.to_dict()), tuple(ANSATZE.values()))
        return _LAYOUTS.get(None if model is None else place, lambda: layout_of(self.model, config))

    def _count_tokens(self) -> tuple[int, ...]:
        from qtha_lab.models.catalogue import folder_of
        from qtha_lab.models.tokenizers import check_vocabulary, load_tokenizer

        tokenizer = load_tokenizer(folder_of(self.experiment.model))
        check_vocabulary(tokenizer, self.model, self.experiment.model)
        longest = self.experiment.training.max_length
        rows = self.task.encode(self.task.train[:SAMPLED_ROWS], tokenizer, longest)
        return tuple(len(max(row["input_ids"], _rejected(row), key=len)) for row in rows)


def _rejected(row: Mapping) -> list[int]:
    return row["rejected"]["input_ids"] if "rejected" in row else []


def _task_source(name: str) -> Hashable | None:
    """Return a cache key of a task's rows, which changes with their source.

    None if the source cannot be determined.
    """
    from qtha_lab.core.paths import data_dir
    from qtha_lab.tasks.registry import TASKS

    if name in TASKS:
        info = TASKS[name]
        is_shipped = info.options.__module__.startswith("qtha_lab.tasks.")
        return (info, data_dir()) if is_shipped else None  # a plugin may read rows from anywhere
    path = as_path(name)
    try:
        if path.is_file():
            return path.resolve(), digest(path)
        return _files_below(path) if path.is_dir() else None
    except (OSError, Refusal) as reason:  # the later reader reports the error
        log.debug("task %s is not cached: %s", name, reason)
        return None


def _files_below(folder: Path) -> Hashable | None:
    """Return path, size and modification time of every file.

    None if the folder has more files than a data set may have.
    """
    from qtha_lab.tasks.folders import MOST_FILES

    paths = list(itertools.islice(folder.rglob("*"), MOST_FILES + 1))
    if len(paths) > MOST_FILES:
        return None
    stats = [(path, path.stat()) for path in sorted(paths)]
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def _text(values: Mapping[str, Any]) -> str:
    """Convert options to canonical text: equal for equal mappings."""

    def plain(value: Any) -> Any:
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

    return json.dumps(values, sort_keys=True, default=plain)
