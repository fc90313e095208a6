"""A tap reads a copy of an answer as it passes: usage, model, finish reason, the first content token, errors.

It is total: any bytes in, never an exception out, and its memory is bounded. What it cannot
read it ignores; the bytes on the wire are never its business.
"""
