"""The one door: these subscriptions, this event, this actor; nothing else changes a subscription.

`door` applies batches of events, `sweep` finds who is due and applies ticks, `effects` claims what
the world must do and brings back what it did, `look` only reads.
"""
