"""Who imports whom, read from the source: the drawing in docs/architecture.md, as a test."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from recrepro.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]

# Packages from the top down. A package imports only what stands below it, never its neighbours on a
# line. The modules at the root are the contract, the lowest line together with `compute`.
LAYERS = (
    "cli",
    "report publish reproduce study",
    "tables tracking",
    "charts",
    "analysis run",
    "tuning",
    "splits store",
    "custom data evaluation",
    "spec testing",
    "(root) compute",
    "text",
)
FOR_MODELS = {"interactions", "features", "model", "space", "errors", "randomness", "compute"}


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


def room_of(name):
    """The package that a module of recrepro is in; None for what is not of recrepro."""
    first, _, rest = name.partition(".")
    if first != "recrepro":
        return None
    package = rest.partition(".")[0]
    return package if (ROOT / "recrepro" / package).is_dir() and package else "(root)"


DEPTH = {room: depth for depth, line in enumerate(LAYERS) for room in line.split()}


def test_every_package_has_a_layer():
    assert {room_of(name) for name, _ in modules("recrepro")} == set(DEPTH)


def test_packages_import_only_what_is_below_them():
    wrong = [
        (name, target)
        for name, tree in modules("recrepro")
        for target in imported(tree)
        for here, there in [(room_of(name), room_of(target))]
        if there in DEPTH and name not in {"recrepro", "recrepro.__main__"} and target != "recrepro"
        if here != there and DEPTH[there] <= DEPTH[here]
        if {here, there} != {"(root)", "compute"}
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others():
    """No cycle: an order exists in which every module comes after all that it imports."""
    names = {name for name, _ in modules("recrepro")} - {"recrepro"}
    imports = {
        name: {target for target in imported(tree) if target in names and target != name}
        for name, tree in modules("recrepro")
        if name in names
    }
    for name, targets in imports.items():  # `from package import module` is of the module only
        imports[name] = {t for t in targets if not any(o.startswith(f"{t}.") for o in targets)}
    list(TopologicalSorter(imports).static_order())


def test_the_drawing_in_the_docs_is_the_tested_one():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    drawn = page.partition("## Layers")[2].split("```")[1].strip().splitlines()
    assert [" ".join(line.split("#")[0].replace("|", " ").split()) for line in drawn] == list(
        LAYERS
    )


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


def test_the_root_of_the_package_has_few_files():
    assert len(list((ROOT / "recrepro").glob("*.py"))) <= 12


LONGEST = 350
"""Lines of a module that needs no reason."""


@pytest.mark.parametrize("folder", ["recrepro", "baselines", "neural"])
def test_a_long_module_says_why_at_its_top(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text()
        if len(text.splitlines()) > LONGEST:
            top = ast.get_docstring(ast.parse(text))
            assert f"Longer than {LONGEST} lines: " in top, path


def test_no_two_classes_of_the_core_share_a_name():
    owners = {}
    for name, tree in modules("recrepro"):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(name)
    assert {c: m for c, m in owners.items() if len(m) > 1} == {}


def test_only_the_tracking_modules_import_mlflow():
    users = {
        name
        for name, tree in modules("recrepro")
        for target in imported(tree)
        if target.split(".")[0] == "mlflow"
    }
    assert {room_of(name) for name in users} == {"tracking"}


def test_only_the_cluster_modules_import_dask():
    users = {
        name
        for name, tree in modules("recrepro")
        for target in imported(tree)
        if target.split(".")[0] in {"dask", "distributed"}
    }
    assert users == {"recrepro.run.dask_executor", "recrepro.run.dask_worker"}


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
        (["ls", "models"], {"torch", "mlflow", "numpy", "pydantic"}, "toppopular"),
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


def test_the_list_of_commands_says_what_each_command_says_of_itself():
    for name, (_, line) in COMMANDS.items():
        command = cli.get_command(None, name)
        assert command.name == name
        said = command.get_short_help_str(200)
        assert click.Command(name, help=line).get_short_help_str(200) == said


def test_the_list_of_commands_fits_a_terminal_of_80_columns():
    printed = CliRunner().invoke(cli, ["--help"], terminal_width=80).stdout
    assert "..." not in printed.partition("Commands:")[2]
    assert max(map(len, printed.splitlines())) <= 80
