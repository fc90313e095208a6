"""The management API under /-/api/: one routing table, one module for each kind of object.

`operation.py` is what an operation declares, `serving.py` what all of them share, `document.py` the OpenAPI
document that is made from the same declarations.
"""
