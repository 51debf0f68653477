"""Billing systems, one file each; the sandbox is the one that needs nobody else."""
