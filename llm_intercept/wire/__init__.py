"""Bytes and meaning: how frames are cut (`framing/`), what they mean (`dialects/`), what we read from them.

Nothing in here does I/O, reads a clock or draws randomness; time comes in as a parameter.
"""
