"""The names of the Scalyr agent that its monitors import, without the agent.

This is scriptbridge's own package. It offers what monitors need to run, and
none of the agent that ships what they report.
"""

from scalyr_agent.scalyr_logging import (
    DEBUG_LEVEL_0,
    DEBUG_LEVEL_1,
    DEBUG_LEVEL_2,
    DEBUG_LEVEL_3,
    DEBUG_LEVEL_4,
    DEBUG_LEVEL_5,
    AgentLogger,
    AutoFlushingRotatingFileHandler,
    getLogger,
)
from scalyr_agent.scalyr_monitor import (
    BadMonitorConfiguration,
    MonitorConfig,
    ScalyrMonitor,
    UnsupportedSystem,
    define_config_option,
    define_log_field,
    define_metric,
)
from scalyr_agent.util import RunState, StoppableThread
from scalyr_agent import __scalyr__, compat, json_lib, monitor_utils, scalyr_logging, util

__all__ = [
    "AgentLogger",
    "AutoFlushingRotatingFileHandler",
    "BadMonitorConfiguration",
    "DEBUG_LEVEL_0",
    "DEBUG_LEVEL_1",
    "DEBUG_LEVEL_2",
    "DEBUG_LEVEL_3",
    "DEBUG_LEVEL_4",
    "DEBUG_LEVEL_5",
    "MonitorConfig",
    "RunState",
    "ScalyrMonitor",
    "StoppableThread",
    "UnsupportedSystem",
    "__scalyr__",
    "compat",
    "define_config_option",
    "define_log_field",
    "define_metric",
    "getLogger",
    "json_lib",
    "monitor_utils",
    "scalyr_logging",
    "util",
]
