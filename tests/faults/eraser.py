"""Runs `reconfirm eraser` as it is, except that targets may be on this machine, as a test's are."""

import sys

from app.cli import main
from app.cli.installation import Installation
from app.world.hooks import Sender

Installation.sender = property(lambda self: Sender(self.clock, local=True))  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    main(["eraser", *sys.argv[1:]])
