r"""Formulas of docstrings as plain text: ``P = (Xᵀ X + λ I)⁻¹`` for a terminal.

Only the LaTeX that the docstrings of models have is understood. Of an unknown command the name
stays, without its backslash.
"""

import re
import textwrap
from html import unescape

_SYMBOLS = {
    "sum": "Σ",
    "prod": "Π",
    "sqrt": "√",
    "in": "∈",
    "setminus": "\\",
    "le": "≤",
    "ge": "≥",
    "approx": "≈",
    "sim": "~",
    "cdot": "·",
    "circ": "∘",
    "dots": "...",
    "mid": "|",
    "top": "ᵀ",
    "ell": "l",
    "lVert": "‖",
    "rVert": "‖",
}
_GREEK = re.findall(
    r"\w+", "alpha beta gamma epsilon theta lambda mu nu rho sigma phi omega Theta Lambda Sigma Phi"
)
_SYMBOLS |= {name: unescape(f"&{name};") for name in _GREEK}  # HTML has the same names
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
"""Characters that stand above the letter before them."""
_RAISED = str.maketrans("0123456789+-T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀ")

_NOTHING = re.compile(r"\\(?:[bB]igg?[lr]?|left|right)(?![A-Za-z])")
_SPACE = re.compile(r"\\(?:[,; ]|quad(?![A-Za-z]))")
_ACCENT = re.compile(r"\\(hat|bar|tilde)\s*\{?([A-Za-z])\}?")
_FONT = re.compile(r"\\(?:mathrm|mathtt|text|operatorname)\s*\{([^{}]*)\}")
_SCRIPT = re.compile(r"\s*([_^])\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\w))")
_FRACTION = re.compile(r"\\t?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_BLOCK = re.compile(r"^\.\. math::((?:.*(?:\n|\Z))(?:[ \t]+\S.*(?:\n|\Z)|[ \t]*\n)*)", re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]*)`")


def formulas_as_text(doc: str) -> str:
    """Return a docstring with its formulas as plain text.

    Parameters
    ----------
    doc : str
        The docstring, without the indentation that all of its lines have.
    """
    doc = _BLOCK.sub(lambda block: _block(block[1]), doc)
    return _INLINE.sub(lambda formula: plain(" ".join(formula[1].split())), doc)


def _block(content: str) -> str:
    """Return the equations of a block, each on an indented line of its own."""
    paragraphs = re.split(r"\n\s*\n", textwrap.dedent(content).strip())
    equations = [
        plain(equation).rstrip(" ,")
        for paragraph in paragraphs
        for equation in re.split(r"\\qquad(?![A-Za-z])", " ".join(paragraph.split()))
    ]
    return "".join(f"    {equation}\n" for equation in equations) + "\n"


def plain(formula: str) -> str:
    r"""Return a LaTeX formula as plain text, such as ``p_uᵀ q_i`` for ``p_u^\top q_i``."""
    formula = _NOTHING.sub("", formula)
    formula = _SPACE.sub(" ", formula).replace("\\|", "‖")
    formula = _ACCENT.sub(lambda m: m[2] + _ACCENTS[m[1]], formula)
    formula = re.sub(r"\^\\top(?![A-Za-z])", "ᵀ", formula)
    before = ""
    while before != formula:  # from the innermost braces outwards
        before = formula
        formula = _FONT.sub(r"\1", formula)
        formula = _SCRIPT.sub(lambda m: _script(m[1], m[2]), formula)
        formula = _ROOT.sub(lambda m: f"√{_grouped(m[1] or m[2])}", formula)
        formula = _FRACTION.sub(
            lambda m: f"({_grouped(m[1] or m[2])}/{_grouped(m[3] or m[4])})", formula
        )
    formula = re.sub(r"\^([0-9])", lambda m: m[1].translate(_RAISED), formula)
    formula = _COMMAND.sub(lambda m: _SYMBOLS.get(m[1], m[1]), formula)
    formula = " ".join(formula.replace("{", "").replace("}", "").split())
    return formula.replace("( ", "(").replace(" )", ")")


def _script(kind: str, content: str) -> str:
    content = content.strip()
    if kind == "^" and all(ord(c) in _RAISED for c in content):
        return content.translate(_RAISED)
    whole = content.isalnum() or re.fullmatch(r"\([^()]*\)", content)
    return f"{kind}{content}" if whole else f"{kind}({content})"


def _grouped(part: str) -> str:
    part = part.strip()
    whole = re.fullmatch(r"\|[^|]*\||[0-9]+|[^\s+\-/0-9][^\s+\-/]*", part)
    return part if whole else f"({part})"
