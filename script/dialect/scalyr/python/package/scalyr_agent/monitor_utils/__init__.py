"""Servers for monitors that are sent what they report."""

from scalyr_agent.monitor_utils.server_processors import (
    Int32RequestParser,
    LineRequestParser,
    RequestSizeExceeded,
    ServerProcessor,
)

__all__ = ["Int32RequestParser", "LineRequestParser", "RequestSizeExceeded", "ServerProcessor"]
