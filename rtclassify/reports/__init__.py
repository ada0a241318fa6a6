"""Reports from a journal: what each channel held, counted, and drawn as a page.

`tracks` turns the messages of a channel into stretches that neither overlap nor leave holes,
`tally` and `accounts` count them, `reading` gets messages from a journal's file, and `page` draws.
No TensorFlow is needed. docs/reports.md says what each figure means.
"""
