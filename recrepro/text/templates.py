"""Pages from Jinja templates, which are files with the ending ``.j2`` beside the code."""

from importlib.resources.abc import Traversable
from typing import Any

import jinja2

from recrepro.text.clean import clean


def render(template: Traversable, **values: Any) -> str:
    """Fill in a template; unknown names are errors.

    Parameters
    ----------
    template : Traversable
        The file. If its name ends in ``.html.j2``, values are escaped.
    **values
        Values and functions for the template, by name. Texts that it shows are cleaned.

    Returns
    -------
    str
        The text, without the newline at the end of the file.
    """
    environment = jinja2.Environment(
        autoescape=template.name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: clean(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)
