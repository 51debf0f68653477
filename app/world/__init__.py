"""The world: everything that talks to the outside, and nothing that decides.

A part of the world is handed plain data, does one thing outside, and answers with
one of the three values in ``app.world.outcome``.  It knows neither tables nor rules.
"""
