"""Print each label as it comes, and how many were missed before it. Needs only pyzmq."""

import json
import sys
from typing import Any

import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5565")
socket.subscribe("label/")  # of one channel: "label/main/"
due: dict[Any, int] = {}
while True:
    topic, payload = socket.recv_multipart()
    message = json.loads(payload)
    missed = message["seq"] - due.get((topic, message["epoch"]), message["seq"])
    due[topic, message["epoch"]] = message["seq"] + 1
    sure = "final" if message["final"] else "provisional"
    print(
        message["utc"], message["channel"], message["label"], sure, f"missed={missed}", flush=True
    )
