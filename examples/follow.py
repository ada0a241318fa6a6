"""Print every final label once, also those that were missed while this program did not run."""

import json
import sys
from pathlib import Path

from rtclassify.client import Gap, Label, subscribe

address, replay = (
    sys.argv[1:3] if len(sys.argv) > 1 else ("tcp://127.0.0.1:5565", "tcp://127.0.0.1:5566")
)
memory = Path("position.json")
since = json.loads(memory.read_text()) if memory.exists() else None
with subscribe(address, replay=replay, since=since) as stream:
    for item in stream:
        match item:
            case Gap():
                print(f"{item.topic}: {item.start} to {item.end} are lost: {item.reason}")
            case Label(final=True):
                print(item.utc, item.channel, item.label, flush=True)
        memory.write_text(json.dumps(stream.position))
