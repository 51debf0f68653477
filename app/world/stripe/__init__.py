"""What the Stripe connector is made of; `app.world.billing.stripe` puts it together.

`messages` needs no SDK, so that what Stripe tells is taken in and what a product lacks is named
even where `reconfirm[stripe]` is not installed. Everything else speaks through `calls`.
"""
