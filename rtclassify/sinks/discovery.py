"""What tells Home Assistant to show a channel, through its MQTT discovery.

See https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from __future__ import annotations

import json
import re
from typing import Any

from rtclassify import __version__

_SENSORS: dict[str, dict[str, str]] = {
    "label": {"name": "Label", "topic": "label", "icon": "mdi:waveform"},
    "level_dbfs": {
        "name": "Level", "topic": "label", "unit_of_measurement": "dBFS",
        "state_class": "measurement", "icon": "mdi:volume-high",
    },
    "state": {"name": "Capture", "topic": "state", "icon": "mdi:audio-input-xlr"},
}  # fmt: skip
"""Sensors of a channel by the field of a message that they show."""

_CAPTURED = "{{ 'offline' if value_json.state == 'no-capture' else 'online' }}"


def discovery(prefix: str, channel: str, model: str) -> dict[str, bytes]:
    """Return the configuration of a channel's sensors, by the topic that each belongs to.

    Args:
        prefix: Of the topics that messages go to.
        channel: Its name.
        model: What labels it.
    """
    node = re.sub(r"[^a-zA-Z0-9_-]", "_", f"{prefix}_{channel}")
    device = {
        "identifiers": [node], "name": f"{prefix} {channel}", "manufacturer": "rtclassify",
        "model": model, "sw_version": __version__,
    }  # fmt: skip
    there: list[dict[str, str]] = [{"topic": f"{prefix}/status"}]
    heard = {"topic": f"{prefix}/state/{channel}", "value_template": _CAPTURED}
    configs = {}
    for field, sensor in _SENSORS.items():
        config: dict[str, Any] = {
            **sensor,
            "unique_id": f"{node}_{field}",
            "state_topic": f"{prefix}/{sensor['topic']}/{channel}",
            "value_template": f"{{{{ value_json.{field} }}}}",
            "availability": there if field == "state" else [*there, heard],
            "availability_mode": "all",
            "device": device,
        }
        del config["topic"]
        configs[f"homeassistant/sensor/{node}/{field}/config"] = json.dumps(config).encode()
    return configs
