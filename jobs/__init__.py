"""What runs in the background: the sweep, the outbox, and on the test clock the passing of time."""
