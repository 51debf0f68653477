"""What notices say.  Data, not code: one folder a language, one Markdown file a notice.

A notice begins with a line ``Subject: …``; the rest is Markdown, from which both the
text and the HTML part are made.  ``_footer.md`` ends every mail, ``_words.md`` holds
phrases that several notices share, ``layout.html`` is the frame.  Jinja picks the
wording: ``{% if erase_on %}`` asks whether a fact is given, ``{{ erase_on }}`` states it.
A paragraph of links and nothing else becomes a row of buttons, all of the same weight.

To add a language, copy ``en/`` and translate; a test says what is missing.
"""
