"""The composition root: settings in, a running service or an open workshop out. The only package that knows everyone.

Split by what is composed, so that a short command does not import what only the server needs.
"""
