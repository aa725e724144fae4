"""Formulas as text: what a terminal shows in place of LaTeX."""

import ast
import re
from pathlib import Path

import pytest

from recrepro.text.formulas import formulas_as_text, plain

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"P = (X^\top X + \lambda I)^{-1}", "P = (Xᵀ X + λ I)⁻¹"),
        (r"\hat r_{ui} = \mu + b_i", "r̂_ui = μ + b_i"),
        (r"\sum_{j \in I_u} y_j^2", "Σ_(j ∈ I_u) y_j²"),
        (r"\sum_{(u,i)} x", "Σ_(u,i) x"),
        (r"\tfrac{\lambda_U}{2} |p_u|", "(λ_U/2) |p_u|"),
        (r"\frac{1}{\sqrt{|I_u|}}", "(1/√|I_u|)"),
        (r"\frac{p}{1 - p} \mathrm{diag}(G)", "(p/(1 - p)) diag(G)"),
        (r"\frac{1}{2n}", "(1/(2n))"),
        (r"\bigl\| x \bigr\|^2 \, y", "‖ x ‖² y"),
        (r"D^{-1/2}", "D^(-1/2)"),
        (r"\min_{w \ge 0} \ln \phi(x)", "min_(w ≥ 0) ln φ(x)"),
        (r"I_u \setminus i", "I_u \\ i"),
    ],
)
def test_a_formula_is_readable_without_latex(latex, text):
    assert plain(latex) == text


def test_equations_stand_on_lines_of_their_own_and_the_rest_stays():
    doc = (
        "Fit.\n\n.. math::\n\n    a = b, \\qquad\n    c = \\frac{1}{2}\n\n    d = e\n\n"
        "with :math:`x\n+ y` and\n``code``.\n\n.. math:: f_{ij} = 0\n\nEnd."
    )
    assert formulas_as_text(doc) == (
        "Fit.\n\n    a = b\n    c = (1/2)\n    d = e\n\n"
        "with x + y and\n``code``.\n\n    f_ij = 0\n\nEnd."
    )


def docstrings():
    """Yield the name and the docstring of every class of models."""
    for folder in ("baselines", "neural"):
        for path in sorted((ROOT / folder).glob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and ast.get_docstring(node):
                    yield node.name, ast.get_docstring(node)


def test_no_model_shows_latex():
    found = dict(docstrings())
    assert sum(".. math::" in doc for doc in found.values()) > 30
    for name, doc in found.items():
        text = formulas_as_text(doc)
        assert "math:" not in text, name
        assert not re.search(r"\\[a-zA-Z]|[_^]\{", text), name
