"""Follow a label stream without losing anything that can still be had.

::

    from rtclassify.client import subscribe

    for label in subscribe("tcp://127.0.0.1:5565", replay="tcp://127.0.0.1:5566"):
        print(label.utc, label.channel, label.label)

Missed messages are fetched from the journal, none is said twice, each topic stays in order,
connections and restarts of the daemon heal by themselves, and what cannot be had any more is told
as a `Gap`. Needs pyzmq and nothing else: neither TensorFlow nor numpy is loaded.
"""

from rtclassify.client.items import Gap, Item, Label, Message, Segment, State
from rtclassify.client.sockets import AsyncSubscription, Subscription, subscribe, subscribe_async

__all__ = [
    "AsyncSubscription",
    "Gap",
    "Item",
    "Label",
    "Message",
    "Segment",
    "State",
    "Subscription",
    "subscribe",
    "subscribe_async",
]
