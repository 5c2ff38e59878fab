"""`python -m almanac.cli` is `almanac`."""

from almanac.cli import main

main()
