"""Where a number was made: code, packages, machine."""

import hashlib
import os
import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from shutil import which

import psutil
from threadpoolctl import threadpool_info

import recrepro
from recrepro.compute.threads import default_threads
from recrepro.custom.fingerprint import module_file, package_of
from recrepro.model import Recommender
from recrepro.run.packages import all_installed, needed
from recrepro.spec.identity import ModelIdentity
from recrepro.store.records import CodeState, Provenance, RecordedCode

POOL_FACTS = (
    "user_api",
    "internal_api",
    "version",
    "num_threads",
    "architecture",
    "threading_layer",
)


def checkout() -> Path | None:
    """Return the checkout that recrepro runs from; None for an installed package."""
    root = Path(recrepro.__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else None


@cache
def code_state() -> CodeState:
    """Return the commit of the checkout that recrepro runs from, and how it was changed since.

    All are None for an installed package, whose version says it all. `diff` is the hash of what
    git shows as changed, and of Python files that it does not know.
    """
    return git_state(checkout())


def git_state(folder: Path | None) -> CodeState:
    """Return the state of the git checkout that a folder is in; all None if it is in none."""
    top = None if folder is None else _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return CodeState(commit=None, dirty=None, diff=None)
    root = Path(os.fsdecode(top).rstrip("\n"))
    status = _git(root, "status", "--porcelain") or b""
    commit = (_git(root, "rev-parse", "HEAD") or b"").decode().strip()
    return CodeState(
        commit=commit or None,
        dirty=bool(status.strip()),
        diff=_diff_hash(root) if status.strip() else None,
    )


def _git(root: Path, *arguments: str) -> bytes | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def _diff_hash(root: Path) -> str:
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD")
    digest = hashlib.sha256(_git(root, "diff", *plain) or b"")
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py") or b""
    for name in sorted(filter(None, unknown.split(b"\0"))):
        digest.update(name + b"\0" + (root / os.fsdecode(name)).read_bytes())
    return digest.hexdigest()


def environment() -> Provenance:
    """Describe the process: versions, system, processor, threads."""
    return Provenance(
        recrepro=recrepro.__version__,
        code=code_state(),
        python=platform.python_version(),
        packages=packages(),
        locks=_locks(),
        system=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
        threads=default_threads(),
        thread_pools=[{fact: pool.get(fact) for fact in POOL_FACTS} for pool in threadpool_info()],
        gpus=_gpus(),
    )


def code_of(
    model: type[Recommender], target: str | None, planned: ModelIdentity | None
) -> RecordedCode | None:
    """Return what is recorded of the code of a model that is not recrepro's own; None of others.

    Parameters
    ----------
    model : type of Recommender
        The model.
    target : str or None
        The key `class` of the experiment.
    planned : ModelIdentity or None
        The model in the identity of the cell, which has the fingerprint of the code.
    """
    if planned is None or planned.code is None:
        return None
    file, package = module_file(model), package_of(model)
    return RecordedCode(
        place=target or f"{model.__module__}:{model.__qualname__}" if package is None else package,
        fingerprint=planned.code,
        repository=git_state(None if file is None or package is not None else file.parent),
    )


def packages() -> dict[str, str]:
    """Return versions of what recrepro needs, and what packages with models of their own need."""
    own = "recrepro[neural]" if "torch" in sys.modules else "recrepro"
    models = {p.dist.name for p in entry_points(group="recrepro.models") if p.dist is not None}
    return needed((own, *sorted(models - {"recrepro"})))


def _locks() -> dict[str, str | None]:
    """Hash the pins of the checkout, and the versions of all that is installed."""
    root = checkout()
    pins = None if root is None else root / "constraints.txt"
    lines = "".join(f"{name}=={version}\n" for name, version in all_installed().items())
    contents = {
        "constraints": pins.read_bytes() if pins and pins.is_file() else None,
        "installed": lines.encode(),
    }
    return {n: c if c is None else hashlib.sha256(c).hexdigest() for n, c in contents.items()}


def _gpus() -> list[dict[str, str]]:
    """Return name and driver of each GPU that its own tool lists."""
    if which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    torch = sys.modules.get("torch")  # imported by models that can use a GPU, never for this
    cuda = {} if torch is None else {"cuda": str(torch.version.cuda)}
    rows = [line.partition(", ") for line in done.stdout.splitlines() if line.strip()]
    return [{"name": name, "driver": driver, **cuda} for name, _, driver in rows]


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far."""
    try:  # what getrusage says starts, on Linux, with the size of who started us
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
