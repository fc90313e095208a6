"""What several dialects of one vendor share: its error shapes and the names of its counters.

Dialects never import one another; what two of them need alike is a file here.
"""
