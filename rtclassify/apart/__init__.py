"""Work in a process of its own: it shares no lock of Python's with the thread that thinks.

See docs/decisions/0022-a-process-for-the-network.md.
"""
