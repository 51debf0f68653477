"""What needs Debian's mail server runs where TEST_MAIL_SERVER is set: nightly, as root."""

import os

collect_ignore = [] if os.environ.get("TEST_MAIL_SERVER") else ["test_mail_server.py"]
