"""Notices: from plain facts to the bytes of a mail, and from there to the relay.

brief.py      what a notice is made of: a brand and the facts about one person
say.py        dates, times and prices in words
manners.py    where a language wants those otherwise than CLDR has them
draft.py      template -> subject, text and HTML, with marks where facts go
skeleton.py   draft -> bytes with gaps, built once; filling the gaps is the fast part
compose.py    brand + brief -> the finished message
plain.py      the same message the plain, slow way: the yardstick for the fast one
relay.py      where messages go: ``smtp.py`` or ``maildir.py``, by URL
"""
