"""Judging a model: recordings whose truth is known, its answers to them, and the report."""
