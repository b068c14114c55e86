"""JSON as the agent's monitors know it: its types, its errors, its relaxed form."""

import json

from scalyr_agent.json_lib.exceptions import (
    JsonConversionException,
    JsonMissingFieldException,
    JsonParseException,
)
from scalyr_agent.json_lib.objects import (
    ArrayOfStrings,
    JsonArray,
    JsonObject,
    SpaceAndCommaSeparatedArrayOfStrings,
)
from scalyr_agent.json_lib.parser import parse

__all__ = [
    "ArrayOfStrings",
    "JsonArray",
    "JsonConversionException",
    "JsonMissingFieldException",
    "JsonObject",
    "JsonParseException",
    "SpaceAndCommaSeparatedArrayOfStrings",
    "parse",
    "serialize",
]


def serialize(value):
    """Returns value as a JSON text without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
