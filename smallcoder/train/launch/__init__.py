"""Launching: one function run by many processes, on this machine or on a Slurm cluster, and what became of it."""
