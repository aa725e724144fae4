"""What to write instead: examples of keys, names that other libraries use, and what a fault needs.

`recrepro.spec.explain` says what is wrong in an experiment file; the second half of each of its
messages is from here.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from recrepro.errors import nearest_names
from recrepro.text.toml import in_toml

NAME_PATTERN = r"^[a-z0-9][a-z0-9._+-]{0,63}$"
"""What names look like."""

SMALLEST = """\
schema = 1
claim = "EASE is better than TopPopular."

[[datasets]]
name = "movielens-100k"

[[splits]]
name = "random-holdout"

[[models]]
name = "toppopular"

[[models]]
name = "ease"
"""
"""The smallest experiment."""

EXAMPLES = {
    "schema": "schema = 1",
    "claim": 'claim = "EASE is better than TopPopular."',
    "datasets": '[[datasets]]\nname = "movielens-100k"',
    "splits": '[[splits]]\nname = "random-holdout"',
    "models": '[[models]]\nname = "ease"',
    "metrics": 'metrics = ["ndcg@10", "recall@10"]',
    "seeds": "seeds = [1, 2, 3]",
    "trials": "trials = 20",
    "seconds": "seconds = 600",
    "fraction": "fraction = 0.2",
    "source": 'source = "the paper, table 3"',
    "tolerance": "tolerance = 0.001",
    "value": "value = 0.3421",
    "metric": 'metric = "ndcg@10"',
    "model": 'model = "ease"',
    "side": 'side = "item"',
    "file": 'file = "ratings.csv"',
    "users": "users = 500",
    "items": "items = 200",
    "interactions": "interactions = 10000",
    "datasets.name": 'name = "movielens-100k"',
    "splits.name": 'name = "random-holdout"',
    "filters.name": 'name = "k-core"',
}
"""Lines of an experiment file, by their key."""

OTHER_NAMES = {
    "l2": "lambda lambda_ lambd lmbda reg regs reg_weight regularization regularisation l2_reg "
    "weight_decay",
    "n_neighbors": "topk top_k k neighbors neighbours n_neighbours num_neighbors knn nn",
    "n_factors": "factors num_factors embedding_size embedding_dim embed_dim emb_size dim "
    "latent_dim n_components rank k d",
    "learning_rate": "lr eta step_size learn_rate",
    "epochs": "n_epochs num_epochs max_epochs iterations n_iter iter max_iter",
    "batch_size": "batch train_batch_size n_batch",
    "shrinkage": "shrink",
    "dropout": "drop_rate dropout_rate dropout_prob drop keep_prob",
    "n_negatives": "negatives num_neg num_negatives neg_ratio neg_samples n_neg",
    "n_layers": "layers num_layers",
    "fraction": "test_size test_ratio test_fraction test_split ratio share holdout",
    "folds": "n_splits n_folds cv k",
    "seeds": "seed random_state random_seed",
    "seed": "random_state random_seed",
    "trials": "n_trials num_trials max_trials max_evals n_calls n_iter",
    "seconds": "timeout time time_budget max_time",
    "metrics": "metric measures",
    "candidates": "negatives n_negatives protocol",
    "params": "parameters hyperparameters hyperparams fixed config",
    "search": "space search_space grid ranges tuning",
    "file": "path filename file_name data data_path csv",
    "format": "sep separator delimiter type",
    "min_value": "threshold min_rating rating_threshold",
    "claim": "hypothesis description title",
}
"""What other libraries call our keys and hyperparameters, separated by blanks."""


def other_names(given: str, valid: Iterable[str]) -> list[str]:
    """Return those of our names that other libraries call by a given one."""
    plain = _plain(given)
    return [
        ours
        for ours in valid
        if plain in [_plain(other) for other in OTHER_NAMES.get(ours, "").split()]
    ]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def example(location: tuple[int | str, ...]) -> str:
    """Return what to write for a key that is missing or has no usable value; empty if unknown."""
    key, *parents = [step for step in reversed(location) if isinstance(step, str)] or [""]
    line = EXAMPLES.get(f"{parents[0]}.{key}" if parents else "", EXAMPLES.get(key))
    if line is None:
        return ""
    return f" For example:\n{line}" if "\n" in line else f" For example: {line}"


def remedy(kind: str, location: tuple[int | str, ...], given: Any, context: dict[str, Any]) -> str:
    """Return what to write instead of a value that the schema refuses.

    Parameters
    ----------
    kind : str
        Pydantic's type of the error.
    location : tuple of str or int
        Keys and positions of the value.
    given : object
        The value.
    context : dict
        Pydantic's context of the error, such as ``{"gt": 0}``.

    Returns
    -------
    str
        One sentence or two, with a blank before them; empty if there is nothing to add.
    """
    key = str(location[-1]) if location else ""
    found = ""
    if is_range(kind, location):
        found = _range(key, given)
    elif location[:1] == ("models",) and key == "name" and _is_target(given):
        found = f"Write class = {in_toml(given)} in place of 'name'."
    elif kind in _REMEDIES:
        found = _REMEDIES[kind](_assigned(location), given, context)
    return f" {found}" if found else example(location)


def _assigned(location: tuple[int | str, ...]) -> Callable[[Any], str]:
    """Return a function that writes a value as it stands in the file: with its key, if any."""
    last = location[-1] if location else 0
    return lambda value: in_toml(value) if isinstance(last, int) else f"{last} = {in_toml(value)}"


Written = Callable[[Any], str]


def _is_target(given: Any) -> bool:
    """Say whether a value looks like ``"module:Class"`` or the path of a file."""
    return isinstance(given, str) and (":" in given or given.endswith(".py"))


def is_range(kind: str, location: tuple[int | str, ...]) -> bool:
    """Say whether a refused value should have been a table with a search range."""
    return kind == "model_type" and len(location) > 1 and location[-2] == "search"


def _range(key: str, given: Any) -> str:
    if isinstance(given, list) and len(given) == 2 and all(_is_number(v) for v in given):
        ends = in_toml(given)
        return (
            f"Write {key} = {{ log_uniform = {ends} }} for a range over orders of magnitude, or "
            f"uniform or integers in place of log_uniform; {key} = {{ choice = {ends} }} tries "
            "these two values only."
        )
    if isinstance(given, list):
        return f"Write {key} = {{ choice = {in_toml(given)} }}."
    return (
        f"Write a range, such as {key} = {{ uniform = [0.1, 10] }}; to fix the value, write "
        f"params = {{ {key} = {in_toml(given)} }} in place of 'search'."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(written: Written, given: Any, _: dict[str, Any]) -> str:
    if isinstance(given, str):
        try:
            number = float(given)
        except ValueError:
            return ""
        plain = int(number) if number.is_integer() and "." not in given else number
        return f"Write it without quotes: {written(plain)}."
    if isinstance(given, float) and given.is_integer():
        return f"Write it without a decimal point: {written(int(given))}."
    return ""


def _text(written: Written, given: Any, _: dict[str, Any]) -> str:
    return f"Write it in quotes: {written(str(given))}." if _is_number(given) else ""


def _truth(written: Written, given: Any, _: dict[str, Any]) -> str:
    del given
    return f"Write {written(True)}, or {written(False)}, without quotes."


def _list(written: Written, given: Any, _: dict[str, Any]) -> str:
    key = written(0).partition(" ")[0]
    if key in ("datasets", "splits", "models", "expected", "printed"):
        name = f' and below it name = "{given}"' if isinstance(given, str) else ""
        return f"Write [[{key}]] with two brackets on each side{name}."
    return f"Write it in brackets: {written([given])}."


def _table(written: Written, given: Any, _: dict[str, Any]) -> str:
    del written
    return f"Write {{ name = {in_toml(given)} }}." if isinstance(given, str) else ""


def _below(written: Written, given: Any, context: dict[str, Any]) -> str:
    limit = context.get("lt", context.get("le"))
    if limit == 1 and _is_number(given) and 1 < given <= 100:
        return f"A share of {given:g} % is {written(given / 100)}."
    return ""


def _one_of(written: Written, given: Any, context: dict[str, Any]) -> str:
    valid = re.findall(r"'([^']*)'", context["expected"])
    near = nearest_names(given, valid) if isinstance(given, str) else []
    return f"Did you mean {written(near[0])}?" if near else ""


def _name(written: Written, given: Any, context: dict[str, Any]) -> str:
    if context["pattern"] != NAME_PATTERN:
        return ""
    plain = re.sub(r"[^a-z0-9._+-]+", "-", given.lower()).strip("._+-")[:64]
    return f"For example: {written(plain)}." if plain else ""


_REMEDIES: dict[str, Callable[[Written, Any, dict[str, Any]], str]] = {
    "int_type": _number,
    "float_type": _number,
    "string_type": _text,
    "bool_type": _truth,
    "tuple_type": _list,
    "model_type": _table,
    "less_than": _below,
    "less_than_equal": _below,
    "literal_error": _one_of,
    "string_pattern_mismatch": _name,
}
"""What to say of pydantic's types of errors."""
