"""Recorded traffic of a program: the file, what is left out of it, finding a call in it again."""
