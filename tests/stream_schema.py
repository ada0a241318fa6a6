"""The published schema, and a stricter reading of it that allows no field it does not name."""

from __future__ import annotations

import copy
import functools
import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads(files("rtclassify.sinks").joinpath("schema.json").read_text())
KINDS = ("label", "segment", "state", "alarm", "heartbeat")


def _strict() -> dict[str, Any]:
    schema = copy.deepcopy(SCHEMA)
    for definition in schema["$defs"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return schema


@functools.cache
def validator(kind: str) -> Draft202012Validator:
    """Return what checks a message of `kind` as a subscriber that ignores new fields would."""
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{kind}"}]})


@functools.cache
def strict_validator(kind: str) -> Draft202012Validator:
    """Return what checks that a message of `kind` has the documented fields and no others."""
    return Draft202012Validator({**_strict(), "oneOf": [{"$ref": f"#/$defs/{kind}"}]})
