"""`python -m recrepro`: the command line without its script."""

from recrepro.cli import main

main()
