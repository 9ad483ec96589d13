"""Build the two JupyterLite pages, which run plain Python in the browser, without torch.

Usage: python docs/lite.py [FOLDER]   (out/docs/lite). Needs the extra `lite` of pyproject.toml and
npm. Pyodide comes from npm and its Python packages from PyPI, into .cache/lite; the pages
themselves then fetch nothing from another server.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "lite"
PAGES = ROOT / "docs" / "lite"
# started by the kernel, beside what they depend on; the lock file of Pyodide knows most of them
KERNEL = ("ipython", "micropip", "packaging", "comm", "ipywidgets", "jedi")
ADDED = {
    "comm": ["traitlets"],
    "ipywidgets": ["comm", "ipython", "traitlets"],
    "jedi": ["parso"],
    "parso": [],
}
UNREACHABLE = 3  # exit status without npm or a registry
EXTENSIONS = ("@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager")


def pyodide() -> Path:
    """Return the folder of Pyodide's files, with the packages of the kernel and their lock."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    folder = CACHE / PYODIDE_VERSION / "package"
    lock = folder / "pyodide-lock.json"
    if (folder / "complete").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    packed = ["npm", "pack", "--silent", f"pyodide@{PYODIDE_VERSION}"]
    subprocess.run(packed, cwd=folder.parent, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(folder.parent / f"pyodide-{PYODIDE_VERSION}.tgz") as archive:
        archive.extractall(folder.parent, filter="data")
    content = json.loads(lock.read_text(encoding="utf-8"))
    content["packages"] = _downloaded(content["packages"], folder)
    lock.write_text(json.dumps(content), encoding="utf-8")
    (folder / "complete").touch()
    return folder


def _downloaded(known: dict, folder: Path) -> dict:
    """Download the packages of the kernel into a folder; return their entries of the lock."""
    entries, names = {}, list(KERNEL)
    while names:
        name = names.pop().replace("_", "-")
        if name not in entries:
            entries[name] = known.get(name) or {"name": name, "depends": ADDED[name]}
            names += entries[name]["depends"]
    wanted = [f"{n}=={e['version']}" if "version" in e else n for n, e in entries.items()]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    command += ["--only-binary", ":all:", "--python-version", "3.14", *wanted]
    subprocess.run(command, check=True)
    for name, entry in entries.items():
        (wheel,) = folder.glob(f"{name.replace('-', '_')}-*.whl")
        version = wheel.name.split("-")[1]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        defaults = {"imports": [name], "install_dir": "site", "package_type": "package"}
        own = {"version": version, "file_name": wheel.name, "sha256": digest}
        entries[name] = defaults | {"unvendored_tests": False} | entry | own
    return entries


def main(folder: str = "out/docs/lite") -> int:
    """Build the pages into a folder; return the exit status of `jupyter lite`, or 3 offline."""
    try:
        files = pyodide()
    except (ImportError, OSError, subprocess.CalledProcessError) as problem:
        reason = "the pages of JupyterLite need the extra lite, npm and PyPI once"
        print(f"note: {reason}: {problem}", file=sys.stderr)
        return UNREACHABLE
    target = (ROOT / folder).resolve()
    shutil.rmtree(target, ignore_errors=True)
    place = Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    work = CACHE / "build"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [sys.executable, "-m", "jupyterlite_core.app", "build", "--apps", "notebooks"]
    command += ["--lite-dir", work, "--contents", PAGES, "--output-dir", target]
    command += ["--no-sourcemaps", "--no-unused-shared-packages"]
    chosen = {
        "federated_extensions": [str(place / n) for n in EXTENSIONS],
        "ignore_sys_prefix": True,
    }
    config = json.dumps({"LiteBuildConfig": chosen})
    (work / "jupyter_lite_config.json").write_text(config, encoding="utf-8")
    status = subprocess.run([*map(str, command)], cwd=work).returncode
    if status == 0:
        shutil.copytree(files, target / "static" / "pyodide")
        _point(target / "jupyter-lite.json")
    return status


def _point(config: Path) -> None:
    """Let the kernel load Pyodide from the site itself."""
    content = json.loads(config.read_text(encoding="utf-8"))
    kernel = {"pyodideUrl": "./static/pyodide/pyodide.mjs", "disablePyPIFallback": True}
    settings = content["jupyter-config-data"].setdefault("litePluginSettings", {})
    plugin = settings.setdefault("@jupyterlite/pyodide-kernel-extension:kernel", {})
    plugin |= kernel
    config.write_text(json.dumps(content, indent=2), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
