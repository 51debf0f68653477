"""What comes back of notices: messages and webhooks, read into plain reports.

report.py     what a report says, in our own words
parts.py      a message taken apart, whatever it is made of
status.py     delivery reports (RFC 3464): what failed, and whether for good
abuse.py      complaints (RFC 5965)
wording.py    reports in words only, as qmail, Exim and old Exchange write them
reading.py    one message: which of these it is
boxes.py      the messages of a file: one, an mbox, or a Maildir
providers/    what mail providers call us with, one file each

Nothing here believes an address: what a report is about is told by the Message-ID of the notice,
which is signed, and which whoever applies the report verifies.
"""
