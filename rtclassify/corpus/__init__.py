"""Labelled recordings: what there is to learn from and to be judged by."""
