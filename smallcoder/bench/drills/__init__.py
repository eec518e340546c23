"""Drills: a built-in micro-benchmark of short Python functions, and the examples that train for it.

A drill is one operation ("multiply every element by 7") or two in a row, worded by a frame, a phrasing, names and
constants. Four splits hold out, each from all training: wording, phrasing, pairs, families (see `generate`). Drills
show whether a training step taught a small model anything; they say nothing about real programming work.
"""
