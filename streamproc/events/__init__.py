"""Typed events of every topic, their codecs, headers and schemas.

Import from the modules: :mod:`~streamproc.events.note`, :mod:`~streamproc.events.tagged`, …
"""
