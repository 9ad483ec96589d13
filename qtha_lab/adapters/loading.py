"""Load a saved adapter, after checks of its files against the model.

Every fault is a Refusal before tensors of the described size are allocated. Pickled tensors are not
opened.
PEFT only warns of missing tensors, and allocates before it compares sizes.
"""

import dataclasses
import json
import logging
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, PeftType, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import nn

from qtha_lab import __version__
from qtha_lab.adapters.adapted_model import adapted_skeleton, check_name, skeleton
from qtha_lab.adapters.heads import Head, head_named, head_of, put_head, text_in
from qtha_lab.adapters.initialisation.lora import FILE, save_whole
from qtha_lab.adapters.peft import AdapterConfig
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors, read_json, scratch_folder, shortened
from qtha_lab.core.libraries import ONE_THREAD
from qtha_lab.core.settings import unknown

log = logging.getLogger(__name__)

LONGEST = 2**20  # bytes of adapter_config.json
PATTERN_SECONDS = 5  # CPU time, independent of the machine's load
PATTERNS = (
    "target_modules",
    "exclude_modules",
    "modules_to_save",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
)
CONVERT = (
    'python -c "from torch import load; from safetensors.torch import save_file; '
    "save_file(load('adapter_model.bin', weights_only=True), 'adapter_model.safetensors')\""
)


def load_adapter(model: nn.Module, folder: str | Path, **kwargs: Any) -> PeftModel:
    """Load an adapter by `PeftModel.from_pretrained`; refuse faults of which PEFT only warns.

    Args:
        model: Base model; receives the adapter's head, if that is not a linear one.
        folder: Folder in which `save_pretrained` wrote the adapter.
        kwargs: Options of `PeftModel.from_pretrained` (`is_trainable`, `adapter_name`, …).

    Raises:
        FileNotFoundError: If there is no adapter in the folder.
        Refusal: If its method, head or a setting is unknown, a file is damaged, or the adapter name
            is ambiguous. Also if tensors are pickled, not finite, missing, unexpected or of other
            sizes.
    """
    folder, name = Path(folder), kwargs.get("adapter_name", "default")
    if (folder / FILE).is_file():  # a checkpoint with a part of the base weights
        with scratch_folder() as whole:
            _saved_shapes(folder)
            save_whole(folder, Path(whole))
            return load_adapter(model, whole, **kwargs)
    config = _read_config(folder)
    check_name(name, config)
    _check_patterns(folder, config, model)
    config.base_model_name_or_path = getattr(model, "name_or_path", None) or None
    saved = _saved_shapes(folder)
    head = _head(folder, model)
    bare = skeleton(model)
    if head is not None:
        put_head(bare, head)
    _check_fit(folder, _described_shapes(folder, bare, config), saved)
    if head is not None:
        put_head(model, head)
    with ONE_THREAD, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")  # peft reads it
        try:
            log.info("loading the adapter in %s", folder)
            return PeftModel.from_pretrained(model, str(folder), config=config, **kwargs)
        except Exception as problem:
            raise _no_fit(folder, problem) from problem


def _head(folder: Path, model: nn.Module) -> Head | None:
    """Return the adapter's head if the model still has a linear one, else None."""
    text, before = text_in(folder / "adapter_model.safetensors"), head_of(model)
    if text is None:
        return None
    if before is None:
        return head_named(text)
    if before.text != text:
        raise Refusal(
            f"The model must have the head {text} of the adapter in {folder}, got {before.text}. "
            "Load the base without a head."
        )
    return None


def _read_config(folder: Path) -> PeftConfig:
    """Read the adapter config, and refuse one that this version cannot rebuild.

    Missing settings take their defaults.
    """
    file = folder / "adapter_config.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} must hold an adapter, got no adapter_config.json. Name the folder that "
            "save_pretrained wrote."
        )
    saved = _read_object(file)
    kind = saved.get("peft_type")
    kind = kind.partition(" ")[0] if isinstance(kind, str) else kind
    if not isinstance(kind, str) or kind not in PEFT_TYPE_TO_CONFIG_MAPPING:
        kinds = [t.value.lower() for t in PeftType]
        raise unknown("adapter method", str(kind).lower()[:40], kinds)
    config_class = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(kind)]
    if issubclass(config_class, AdapterConfig):
        _check_settings_known(folder, config_class, saved)
    try:
        return config_class.from_pretrained(str(folder))
    except Exception as problem:
        raise Refusal(
            f"The adapter in {shortened(folder, 60)} must have settings of qtha-lab {__version__},"
            f" got others: {_one_line(problem)}"
        ) from problem


def _check_settings_known(folder: Path, config_class: type, saved: dict[str, Any]) -> None:
    fields = {field.name for field in dataclasses.fields(config_class)}
    strange = {name: value for name, value in saved.items() if name not in fields}
    if strange:
        version = saved.get("qtha_lab_version") or "of unknown version"
        settings = ", ".join(f"{name}={value!r:.40}" for name, value in list(strange.items())[:5])
        raise Refusal(
            f"The adapter in {shortened(folder, 60)} must have settings that qtha-lab {__version__}"
            f" knows, got {shortened(settings, 90)} of version {shortened(version, 20)}. Load it "
            "with that version."
        )


def _read_object(file: Path) -> dict[str, Any]:
    if file.stat().st_size > LONGEST:
        raise Refusal(
            f"{file} must be at most {LONGEST // 2**20} MiB, got a longer file, which describes "
            "no adapter."
        )
    try:
        value = read_json(file)
    except Refusal as problem:
        raise Refusal(f"{file} cannot be read: {problem}") from None
    if not isinstance(value, dict):
        raise Refusal(
            f"{file} must hold a JSON object, got another value. Copy the files of the adapter "
            "again."
        )
    return value


def _saved_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the saved tensors, and refuse non-finite values."""
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        if (folder / "adapter_model.bin").is_file():
            raise Refusal(
                f"The adapter in {folder} must be a safetensors file, got pickled tensors, which "
                "can run code when they are opened. If you trust its source, convert it there: "
                f"{CONVERT}"
            )
        raise Refusal(f"The adapter in {folder} has no {file.name}. Copy all files of the adapter.")
    shapes = {}
    try:
        with open_tensors(file) as tensors:
            for name in tensors.keys():  # noqa: SIM118
                tensor = tensors.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise Refusal(
                        f"The tensors of the adapter in {folder} must be finite, got others in "
                        f"{name}. Its training diverged, or the file is damaged."
                    )
                shapes[name] = tuple(tensor.shape)
    except (OSError, ValueError) as problem:
        if isinstance(problem, Refusal):
            raise
        raise Refusal(
            f"{file} must be a whole safetensors file, got {_one_line(problem)}."
        ) from None
    return shapes


def _check_patterns(folder: Path, config: PeftConfig, model: nn.Module) -> None:
    """Refuse invalid patterns, and patterns whose search does not terminate in time.

    The patterns are tested on the model's module names in a separate process, since a search in
    this process could not be stopped.
    """
    patterns = [pattern for name in PATTERNS for pattern in _texts(folder, config, name)]
    strange = [pattern for pattern in patterns if not re.fullmatch(r"[\w.-]*", pattern)]
    if not strange:
        return
    names = [name for name, _ in model.named_modules()]
    code = (
        "import json, re, sys; patterns, names, limit = json.load(sys.stdin)\n"
        "try:\n"
        "    import resource, signal\n"
        "    signal.signal(signal.SIGXCPU, signal.SIG_DFL)\n"
        "    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))\n"
        "except ImportError:\n"
        "    pass\n"
        "[re.match(rf'(.*\\.)?({p})$', n) for p in patterns for n in names]"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        input=json.dumps([strange, names, PATTERN_SECONDS]),
        capture_output=True,
        text=True,
    )
    ends = (getattr(signal, name, 0) for name in ("SIGXCPU", "SIGKILL"))  # none on Windows
    if -result.returncode in filter(None, ends):
        raise Refusal(
            f"A pattern of the adapter in {folder} must match the model's {len(names)} modules "
            f"within {PATTERN_SECONDS} seconds of computing, got {strange[0][:60]!r}."
        )
    if result.returncode:
        raise Refusal(
            f"A pattern of the adapter in {folder} must be a regular expression, got "
            f"{strange[0][:60]!r} ({result.stderr.strip().splitlines()[-1]})."
        )


def _texts(folder: Path, config: PeftConfig, name: str) -> list[str]:
    value = getattr(config, name, None)
    values = [value] if isinstance(value, str) else value or ()
    if not isinstance(values, list | tuple | set | dict) or not all(
        isinstance(v, str) for v in values
    ):
        raise Refusal(
            f"{name} of the adapter in {folder} must be text or a list of text, got {value!r:.60}."
        )
    return list(values)


def _described_shapes(
    folder: Path, model: nn.Module, config: PeftConfig
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the tensors that the config describes.

    The tensors are on the meta device, so no memory is allocated.
    """
    try:
        with ONE_THREAD, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = get_peft_model_state_dict(adapted_skeleton(model, config))
    except Exception as problem:
        raise _no_fit(folder, problem) from problem
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def _check_fit(folder: Path, expected: dict[str, tuple], saved: dict[str, tuple]) -> None:
    for keys, problem in (
        (expected.keys() - saved, "missing"),
        (saved.keys() - expected, "unexpected"),
    ):
        if keys:
            number = f"{len(keys)} {problem} tensor{'s' if len(keys) > 1 else ''}"
            raise _no_fit(folder, f"{number}, first {min(keys)}")
    for key in sorted(expected):
        if expected[key] != saved[key]:
            raise _no_fit(folder, f"{key} must have the size {expected[key]}, got {saved[key]}")


def _no_fit(folder: Path, problem: Any) -> Refusal:
    return Refusal(
        f"The adapter in {shortened(folder, 90)} must fit this model, got {_one_line(problem)}."
    )


def _one_line(problem: Any) -> str:
    return shortened(" ".join(str(problem).split()), 160) or type(problem).__name__
