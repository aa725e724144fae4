"""Experiments as TOML, read back by the standard library."""

import tomllib

import pytest

from recrepro.bundles import to_toml


@pytest.mark.parametrize(
    "experiment",
    [
        {"schema": 1, "claim": 'say "\\ü\n\t\x7f\x00"', "datasets": [{"name": "a"}]},
        {"tune": {"trials": 3}, "datasets": [{"columns": {"user": "who is it", "a.b": "ü"}}]},
        {"evaluate": {"metrics": ["a", "b"]}, "expected": [], "x": 1e-05, "y": 1e22, "z": True},
        {"models": [{"search": {"l2": {"choice": ["a", 1, 2.5, False]}}}, {"name": "b"}]},
    ],
)
def test_toml_is_read_back_as_it_was(experiment):
    assert tomllib.loads(to_toml(experiment)) == experiment
