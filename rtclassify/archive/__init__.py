"""An archive, a folder of recordings, as work that can be interrupted at any moment.

`units` finds the recordings, `manifest` remembers what became of each, and `workers` and
`cluster` hand what is left to processes of this machine or of many. How a recording is labelled
is none of their business: they are given a function for it.
"""
