"""Decisions as pure functions: no I/O, no clock, no randomness; what they need is passed in."""
