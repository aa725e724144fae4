"""Who imports whom, read from the source: the drawing in docs/architecture.md, as a test."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up; a module may import what stands below it, and its own group.
LAYERS = [
    {
        "recrepro.errors",
        "recrepro.interrupts",
        "recrepro.threads",
        "recrepro.compiling",
        "recrepro.energy",
        "recrepro.packages",
    },
    {
        "recrepro.interactions",
        "recrepro.features",
        "recrepro.randomness",
        "recrepro.space",
        "recrepro.memory",
        "recrepro.sampling",
        "recrepro.checkpoint",
    },
    {"recrepro.model"},
    {"recrepro.testing"},
    {
        "recrepro.experiment",
        "recrepro.budget",
        "recrepro.identity",
        "recrepro.registry",
        "recrepro.transfer",
        "recrepro.workspace",
        "recrepro.ledger_tables",
        "recrepro.ledger_address",
        "recrepro.leases",
    },
    {"recrepro.data", "recrepro.splits", "recrepro.evaluation", "recrepro.openings"},
    {"recrepro.externals", "recrepro.ledger_entries"},
    {
        "recrepro.tuning",
        "recrepro.hindsight",
        "recrepro.suggestions",
        "recrepro.ledger",
        "recrepro.records",
        "recrepro.provenance",
    },
    {
        "recrepro.runner",
        "recrepro.protocol",
        "recrepro.results",
        "recrepro.weights",
        "recrepro.cell_names",
    },
    {
        "recrepro.worker",
        "recrepro.executors",
        "recrepro.cluster",
        "recrepro.cluster_worker",
        "recrepro.plan",
        "recrepro.per_user",
    },
    {
        "recrepro.grid",
        "recrepro.leaderboard",
        "recrepro.verdict",
        "recrepro.tables",
        "recrepro.tracking",
        "recrepro.tracking_facts",
        "recrepro.tracking_files",
        "recrepro.tracking_records",
        "recrepro.tracking_results",
        "recrepro.tracking_runs",
        "recrepro.tracking_store",
        "recrepro.tracking_values",
        "recrepro.background",
        "recrepro.plots",
        "recrepro.admission",
        "recrepro.timing",
        "recrepro.paces",
    },
    {"recrepro.locating", "recrepro.refitting", "recrepro.agreement"},
    {"recrepro.progress", "recrepro.listing", "recrepro.citation", "recrepro.costs"},
    {
        "recrepro.running",
        "recrepro.study",
        "recrepro.studying",
        "recrepro.kept_records",
        "recrepro.verdict_page",
        "recrepro.auditing",
        "recrepro.evaluating",
        "recrepro.comparing",
        "recrepro.snapshot",
        "recrepro.verifying",
        "recrepro.showing",
        "recrepro.reproducing",
        "recrepro.bundles",
        "recrepro.checking",
        "recrepro.status",
        "recrepro.cleaning",
        "recrepro.syncing",
    },
    {"recrepro.report"},
    {"recrepro.cli"},
]
FOR_MODELS = {
    "interactions",
    "features",
    "model",
    "space",
    "errors",
    "threads",
    "memory",
    "compiling",
    "sampling",
    "randomness",
    "checkpoint",
}


def modules(folder):
    """Name and syntax tree of every module of the core, or of a folder of models."""
    package = "recrepro" if folder == "recrepro" else f"recrepro.{folder}"
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT / folder).with_suffix("").parts
        yield ".".join([package, *parts]).removesuffix(".__init__"), ast.parse(path.read_text())


def imported(tree, everywhere=True):
    """Names of the modules that are imported, inside functions too if `everywhere`."""
    nodes = ast.walk(tree) if everywhere else _at_import_time(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_import_time(tree):
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not checking and not isinstance(node, ast.FunctionDef):
            yield node
            waiting += ast.iter_child_nodes(node)


def layer_of(name):
    for number, layer in enumerate(LAYERS):
        if any(name == module or name.startswith(f"{module}.") for module in layer):
            return number
    return None


def test_every_module_has_a_layer():
    names = [name for name, _ in modules("recrepro") if name != "recrepro"]
    assert [name for name in names if layer_of(name) is None] == []


def test_imports_point_downwards():
    wrong = [
        (name, target)
        for name, tree in modules("recrepro")
        for target in imported(tree)
        if layer_of(target) is not None and name != "recrepro"
        if layer_of(target) > layer_of(name)
    ]
    assert wrong == []


def test_the_core_never_imports_a_model():
    wrong = [
        (name, target)
        for name, tree in modules("recrepro")
        for target in imported(tree)
        if target.startswith(("recrepro.baselines", "recrepro.neural"))
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["baselines", "neural"])
def test_models_import_only_the_contract(folder):
    wrong = [
        (name, target)
        for name, tree in modules(folder)
        for target in imported(tree)
        if target.split(".")[0] == "recrepro" and target.split(".")[1] not in FOR_MODELS
    ]
    assert wrong == []


def test_heavy_libraries_are_never_imported_at_module_level():
    wrong = [
        (name, target)
        for name, tree in modules("recrepro")
        for target in imported(tree, everywhere=False)
        if target.split(".")[0] in {"torch", "mlflow", "optuna", "dask", "distributed"}
    ]
    assert wrong == []


def test_only_the_tracking_modules_import_mlflow():
    users = {
        name
        for name, tree in modules("recrepro")
        for target in imported(tree)
        if target.split(".")[0] == "mlflow"
    }
    assert {name.partition("_")[0] for name in users} == {"recrepro.tracking"}


def test_only_the_cluster_modules_import_dask():
    users = {
        name
        for name, tree in modules("recrepro")
        for target in imported(tree)
        if target.split(".")[0] in {"dask", "distributed"}
    }
    assert users == {"recrepro.cluster", "recrepro.cluster_worker"}


def test_only_the_randomness_module_makes_generators_in_the_core():
    makers = {
        name
        for name, tree in modules("recrepro")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if node.attr in {"default_rng", "SeedSequence", "RandomState"}
    }
    assert makers == {"recrepro.randomness"}


@pytest.mark.parametrize(
    ("command", "heavy", "said"),
    [
        (
            ["--help"],
            {"torch", "mlflow", "optuna", "numpy", "pandas", "sqlalchemy", "rich", "distributed"},
            "leaderboard",
        ),
        (["ls", "models"], {"torch", "mlflow"}, "toppopular"),
    ],
)
def test_a_command_loads_none_of_the_libraries_that_it_does_not_need(command, heavy, said):
    code = (
        "import sys\n"
        "from recrepro.cli import cli\n"
        f"cli.main({command}, standalone_mode=False)\n"
        f"sys.exit(', '.join({heavy} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"loaded: {done.stderr}"
    assert said in done.stdout
