"""The one style of the tables that are printed."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recrepro.text.clean import clean


def plain_table(title: str | None = None) -> Table:
    """Return an empty table in the one style that we print."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )


def print_table(
    console: Console, title: str | None, columns: Sequence[str], rows: Iterable[tuple[str, ...]]
) -> None:
    """Print rows of text; the heads of the columns too, if one of them is not empty."""
    table = plain_table(title)
    table.show_header = any(columns)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    for row in rows:
        # Cleaned before its width is measured: a replaced character takes more place than none.
        table.add_row(*(Text(clean(cell)) for cell in row))
    console.print(table)
