"""Streaming real-time audio classification: sound card in, label stream out."""

__version__ = "0.1.0"
