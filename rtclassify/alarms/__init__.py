"""The watch over every channel: is there audio, is it programme, is it the right one, how loud?

`Watch` follows one channel: a `Meter` measures its audio twice a second, a `Monitor` a kind
judges one figure of that, and what lies beyond its level for its time is an alarm. The kinds and
their levels stand in `rtclassify.alarm_kinds.KINDS`; see docs/alarms.md.
"""
