"""`recrepro verify`: check what others have cited."""

from pathlib import Path

import click

from recrepro.errors import RecreproError
from recrepro.publish.snapshot import cite
from recrepro.publish.verify import problems_of


@click.command()
@click.argument("snapshot", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--hash", "content_hash", help="The content hash that was cited.")
def verify(snapshot: Path, content_hash: str | None) -> None:
    """Check that nothing in a snapshot DIR was changed.

    Its tables are made again from its records. Without --hash it says that the folder agrees with
    itself; with it, that it is what was cited.
    """
    problems = problems_of(snapshot, content_hash)
    if problems:
        raise RecreproError(
            f"{snapshot} is not what was cited: {'; '.join(problems)}. Get it again from where it "
            "was published."
        )
    click.echo("Nothing was changed, and the tables follow from the records and values of users.")
    click.echo(f"Content hash  sha256:{cite(snapshot).sha256}")
