"""`python -m app.cli`: the `reconfirm` command where no script is on the path."""

from app.cli import main

main()
