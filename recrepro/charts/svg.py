"""From a matplotlib figure to an SVG that may stand in a page, many of them side by side.

Text stays text, black becomes the colour of the page's text, and looks are attributes: the page
forbids inline styles. Equal figures give equal bytes.
"""

import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from recrepro.text.clean import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

SETTINGS: Any = {
    "svg.hashsalt": "recrepro",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name with dollar signs is no formula
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_LONG = re.compile(r"-?\d+\.\d{3,}")


def draw(
    name: str, description: str, size: tuple[float, float], paint: "Callable[[Figure], None]"
) -> Markup:
    """Draw a figure for a page.

    Parameters
    ----------
    name : str
        Unique on the page; the ids within the drawing start with it.
    description : str
        What it shows, for those who do not see it.
    size : (float, float)
        Width and height in inches.
    paint : callable
        Draws on the figure that it is given.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    written = clean(buffer.getvalue().decode())  # XML has no control characters
    root = ET.fromstring(written)  # noqa: S314  only what matplotlib wrote
    _clean(root, name)
    root.set("role", "img")
    root.set("aria-label", description)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  its texts are escaped


def _clean(root: ET.Element, name: str) -> None:
    for unwanted in ("width", "height", "version"):
        root.attrib.pop(unwanted, None)
    # What matplotlib says in a style sheet, which would be one for the whole page.
    root.set("stroke-linejoin", "round")
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        element.tail = None
        if element.tag == f"{_SVG}text":
            element.attrib.setdefault("fill", "currentColor")
        elif element.text is not None:
            element.text = None
        _clean_attributes(element, name)
        element.tag = element.tag.removeprefix(_SVG)


def _clean_attributes(element: ET.Element, name: str) -> None:
    style = element.attrib.pop("style", "")
    for rule in filter(None, (part.strip() for part in style.split(";"))):
        key, _, value = (part.strip() for part in rule.partition(":"))
        if key != "font-family":  # the page's own
            element.set(key, value)
    if element.tag == f"{_SVG}g":
        element.attrib.pop("id", None)  # nothing refers to groups
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    link = element.attrib.pop(_LINK, None)
    if link is not None:
        element.set("href", link)
    for key, value in element.attrib.items():
        element.set(key, _clean_value(key, value, name))


def _clean_value(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-")
    if key == "clip-path":
        return value.replace("url(#", f"url(#{name}-")
    if key in ("fill", "stroke"):
        return "currentColor" if value == "#000000" else value
    if key in ("d", "x", "y", "transform", "width", "height"):
        return " ".join(_LONG.sub(lambda found: f"{float(found[0]):.2f}", value).split())
    return value
