"""``python -m rtclassify`` is the ``rtclassify`` command."""

from rtclassify.cli import main

main()
