"""reconfirm: asks whoever pays without using whether they want to keep it."""
