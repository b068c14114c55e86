"""The logger of a monitor, which also takes its metrics.

Where metrics and log lines go is not this module's business: it hands them to
one Output, which the program that runs the monitor sets with set_output.
"""

import json
import logging
import logging.handlers
import os
import re
import sys
import threading
import time
import traceback

from scriptbridge_logs import hand_on
from scriptbridge_text import as_text, message_of, trace_of

__all__ = [
    "AgentLogger",
    "AutoFlushingRotatingFileHandler",
    "BaseFormatter",
    "DEBUG_LEVEL_0",
    "DEBUG_LEVEL_1",
    "DEBUG_LEVEL_2",
    "DEBUG_LEVEL_3",
    "DEBUG_LEVEL_4",
    "DEBUG_LEVEL_5",
    "MetricLogHandler",
    "Output",
    "TextOutput",
    "UnsupportedValueType",
    "close_handlers",
    "getLogger",
    "set_debug_level",
    "set_log_destination",
    "set_log_level",
    "set_output",
]

DEBUG_LEVEL_0 = logging.INFO
DEBUG_LEVEL_1 = logging.DEBUG
DEBUG_LEVEL_2 = 7
DEBUG_LEVEL_3 = 6
DEBUG_LEVEL_4 = 5
DEBUG_LEVEL_5 = 4
_LEVELS = (DEBUG_LEVEL_0, DEBUG_LEVEL_1, DEBUG_LEVEL_2, DEBUG_LEVEL_3, DEBUG_LEVEL_4, DEBUG_LEVEL_5)

# Fields of the vendor's own events: a metric or a field of such a name gets a
# trailing underscore.
RESERVED_EVENT_ATTRIBUTE_NAMES = ["logfile", "monitor", "metric", "value", "instance", "severity"]

_VALUE_TYPES = (str, bool, int, float)
_VALID_NAME = re.compile(r"[A-Za-z_][\w.\-]*$")  # As in the agent, a line feed may end it.
_INVALID_CHAR = re.compile(r"[^\w.\-]")
_DAY = 24 * 3600
# How many limit_keys are remembered before those whose time is over are not.
_MAX_LIMITS = 1000
# A line of the caller's is told from logging's own and from this module's.
_OWN_FILES = (os.path.normcase(logging.__file__), os.path.normcase(__file__))


class UnsupportedValueType(Exception):
    """A metric's name, its value, or an extra field is of a type that cannot be reported."""

    def __init__(self, what, name, value):
        self.metric_name = name
        self.metric_value = value
        Exception.__init__(
            self, "%s %s is a %s: %s" % (
                what, as_text(name, repr), type(value).__name__,
                "a str is needed" if what.endswith("name") else "a str, bool, int or float is needed"))


def valid_name(name):
    """Returns the name as the agent writes it, a metric's or a field's."""
    if not _VALID_NAME.match(name):
        fixed = _INVALID_CHAR.sub("_", name)
        # What the name began with decides, not what has been made of it.
        name = fixed if re.match("[A-Za-z_]", name) else "sa_" + fixed
    return name + "_" if name in RESERVED_EVENT_ATTRIBUTE_NAMES else name


def check_value(name, value, extra_fields):
    """Raises UnsupportedValueType unless all can be reported."""
    if not isinstance(name, str):
        raise UnsupportedValueType("the metric name", name, name)
    if not isinstance(value, _VALUE_TYPES):
        raise UnsupportedValueType("the value of", name, value)
    for key, field in (extra_fields or {}).items():
        if not isinstance(key, str):
            raise UnsupportedValueType("the field name", key, key)
        if not isinstance(field, _VALUE_TYPES):
            raise UnsupportedValueType("the field", key, field)


class AgentLogger(logging.Logger):
    """A logging.Logger with emit_value, and with more keywords for its log methods:

    error_code            a word for the kind of error
    limit_once_per_x_secs with limit_key: log once in so many seconds per key
    emit_to_metric_log    the line goes to the monitor's metric log
    metric_log_for_monitor, error_for_monitor
                          the monitor whose metric log, or error count, it is for
    monitor_id_override   the monitor id for this line
    timestamp             the line's time in milliseconds since 1970
    current_time          the time in seconds that limit_once_per_x_secs goes by
    force_stdout, force_stderr
                          accepted; a line has one place to go
    """

    def __init__(self, name):
        logging.Logger.__init__(self, name)
        self.monitor_name, self.component = _component(name)
        self._monitor = None
        self._limits = {}
        self._limits_lock = threading.Lock()

    # --- Metrics ---

    def emit_value(self, metric_name, metric_value, extra_fields=None, monitor=None, monitor_id_override=None,
                   timestamp=None):
        """Reports a metric.

        The value and the extra fields' values are str, bool, int or float; the
        timestamp is in milliseconds since 1970. The monitor is the logger's
        own unless given. Raises UnsupportedValueType, and Exception where the
        monitor's metric log is not open.
        """
        monitor = self._open_monitor(monitor)
        check_value(metric_name, metric_value, extra_fields)
        name = self._valid_name("metric", metric_name)
        fields = {self._valid_name("field", key): value for key, value in (extra_fields or {}).items()}
        if name in (getattr(monitor, "_metric_name_blacklist", None) or ()):
            self.info("the metric %s is dropped, as metric_name_blacklist says", name,
                      limit_once_per_x_secs=_DAY, limit_key="blacklist " + name)
            return
        _output.metric(monitor, name, metric_value, fields, monitor_id_override, timestamp)
        _count(monitor, reported_lines=1)

    def emit_values(self, values, monitor=None):
        """Reports a line of key=value pairs, which is no metric. Texts are not quoted. Deprecated, as report_values."""
        monitor = self._open_monitor(monitor)
        check_value("values", 0, values)
        line = " ".join(
            "%s=%s" % (key, value.replace('"', '\\"') if isinstance(value, str) else metric_json(value))
            for key, value in values.items())
        _output.line(monitor, line, None, None)
        _count(monitor, reported_lines=1)

    report_values = emit_values

    def openMetricLogForMonitor(self, path, monitor, max_bytes=0, backup_count=0, max_write_burst=0,
                                log_write_rate=0, flush_delay=0.0):
        """Lets the monitor report metrics and makes it this logger's own. There is no file."""
        self._monitor = monitor
        _open_monitors[id(monitor)] = monitor

    def closeMetricLog(self):
        """Ends what openMetricLogForMonitor began."""
        _open_monitors.pop(id(self._monitor), None)
        self._monitor = None

    def _open_monitor(self, monitor):
        monitor = monitor or self._monitor
        if id(monitor) not in _open_monitors:
            raise Exception("the metric log is not open: %s reports nothing before open_metric_log" % self.name)
        return monitor

    def _valid_name(self, kind, name):
        valid = valid_name(name)
        if not _VALID_NAME.match(name):
            self.warning(
                'the %s name %r is written %s: a letter or underscore, then letters, digits, dots, dashes and '
                'underscores are allowed; the first such name of the day is told', kind, name, valid,
                limit_once_per_x_secs=_DAY, limit_key="bad %s name" % kind,
                error_code="client/bad%sName" % kind.capitalize())
        return valid

    @staticmethod
    def force_valid_metric_or_field_name(name, is_metric=True, logger=None):
        return valid_name(name)

    @staticmethod
    def sanitize_metric_field_name(name):
        return name + "_" if name in RESERVED_EVENT_ATTRIBUTE_NAMES else name

    # --- Log lines ---

    def warn(self, msg, *args, **kwargs):
        # Python deprecates it, and most monitors use it.
        self.warning(msg, *args, **kwargs)

    def _log(self, level, msg, args, exc_info=None, extra=None, error_code=None, metric_log_for_monitor=None,
             error_for_monitor=None, limit_once_per_x_secs=None, limit_key=None, current_time=None,
             emit_to_metric_log=False, monitor_id_override=None, force_stdout=False, force_stderr=False,
             timestamp=None, **kwargs):
        if (limit_once_per_x_secs is None) != (limit_key is None):
            raise Exception("limit_once_per_x_secs and limit_key go together")
        if limit_key is not None and not self._within_limit(limit_key, limit_once_per_x_secs, current_time):
            return
        if emit_to_metric_log:
            metric_log_for_monitor = self._open_monitor(metric_log_for_monitor)
        if error_for_monitor is None and level >= logging.ERROR:
            error_for_monitor = self._monitor
        extra = dict(
            extra or {}, error_code=error_code, component=self.component, monitor_name=self.monitor_name,
            metric_log_for_monitor=metric_log_for_monitor, error_for_monitor=error_for_monitor,
            monitor_id_override=monitor_id_override, timestamp=timestamp, agent_logger=True)
        logging.Logger._log(self, level, msg, args, exc_info=exc_info, extra=extra, **kwargs)

    def isEnabledFor(self, level):
        # logging's own remembers its answers and is told of changes only for
        # loggers that it has made.
        return level > self.manager.disable and level >= self.getEffectiveLevel()

    def callHandlers(self, record):
        # Those that a monitor has added itself.
        is_told = hand_on(record, self, lambda handler: True)
        monitor = record.metric_log_for_monitor
        if monitor is not None:
            _output.line(monitor, message_of(record), record.monitor_id_override, record.timestamp)
            _count(monitor, reported_lines=1)
            return
        if is_told:
            _output.log(record)
        _count(record.error_for_monitor, errors=1)

    def findCaller(self, stack_info=False, stacklevel=1):
        frame = sys._getframe(1)
        while frame.f_back and os.path.normcase(frame.f_code.co_filename) in _OWN_FILES:
            frame = frame.f_back
        stack = "".join(traceback.format_stack(frame)).rstrip("\n") if stack_info else None
        return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, stack

    def _within_limit(self, key, seconds, now):
        now = time.time() if now is None else now
        with self._limits_lock:
            if now < self._limits.get(key, now):
                return False
            if len(self._limits) >= _MAX_LIMITS:
                self._limits = {other: end for other, end in self._limits.items() if now < end}
            self._limits[key] = now + seconds
            return True


def _component(name):
    """Returns what the agent's lines call the logger: in its metric log and in its own log."""
    short = re.sub(r"\A[^(]*\.", "", name)
    if re.match(r"scalyr_agent(\.|\Z)", name) and not name.startswith("scalyr_agent.builtin_monitors."):
        return short, "core"
    return short, "monitor:" + short


def _count(monitor, **counts):
    if hasattr(monitor, "increment_counter"):
        monitor.increment_counter(**counts)


def getLogger(name):
    """Returns the AgentLogger of that name, always the same one."""
    with _loggers_lock:
        if name not in _loggers:
            logger = AgentLogger(name)
            # In the agent they are one: handlers that a monitor adds to it, or
            # above it, hear this one too.
            logger.parent = logging.getLogger(name)
            logger.setLevel(_level)
            _loggers[name] = logger
        return _loggers[name]


def set_debug_level(level):
    """Sets how much is logged, 0 (INFO and above) to 5 (most), for all loggers made by getLogger."""
    global _level
    with _loggers_lock:
        _level = _LEVELS[level]
        for logger in _loggers.values():
            logger.setLevel(_level)


# --- Where it all goes ---

class Output(object):
    """Takes what monitors report. Its methods are called from any thread."""

    def metric(self, monitor, name, value, fields, monitor_id, timestamp):
        """Takes a metric of a checked type and a valid name; timestamp is in milliseconds or None."""
        raise NotImplementedError

    def line(self, monitor, text, monitor_id, timestamp):
        """Takes a line for the metric log that is no metric."""
        raise NotImplementedError

    def log(self, record):
        """Takes a logging.LogRecord for the log."""
        raise NotImplementedError


class TextOutput(Output):
    """Writes lines as the agent does in its log files, to one stream."""

    def __init__(self, stream=None):
        self._stream = stream
        self._lock = threading.Lock()

    def metric(self, monitor, name, value, fields, monitor_id, timestamp):
        pairs = "".join(" %s=%s" % (key, metric_json(fields[key])) for key in sorted(fields))
        self.line(monitor, "%s %s%s" % (name, metric_json(value), pairs), monitor_id, timestamp)

    def line(self, monitor, text, monitor_id, timestamp):
        seconds = time.time() if timestamp is None else timestamp / 1000.0
        name = getattr(monitor, "monitor_name", None) or "unknown()"
        if monitor_id is not None:
            name = "%s(%s)" % (name.partition("(")[0], monitor_id)
        self._write("%s [%s] %s\n" % (format_time(seconds), name, text))

    def log(self, record):
        self._write(BaseFormatter().format(record) + "\n")

    def _write(self, text):
        stream = self._stream or sys.stdout
        with self._lock:
            try:
                stream.write(text)
            except UnicodeEncodeError:  # a terminal of another alphabet
                stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
            stream.flush()


def set_output(output):
    """Sets where all loggers report to. Until then it is standard output, as text."""
    global _output
    _output = output


def format_time(seconds):
    """Returns seconds since 1970 as the agent writes times, in UTC."""
    milliseconds = int(seconds * 1000)
    return "%s.%03dZ" % (
        time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(milliseconds // 1000)), milliseconds % 1000)


def metric_json(value):
    """Returns a metric's value as the agent writes it; a number that JSON does not know as Python does."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except ValueError:  # An int of more digits than Python is willing to write.
        return json.dumps(float("inf") if value > 0 else float("-inf"))


class BaseFormatter(logging.Formatter):
    """Formats a record as a line of the agent's log, a traceback in indented lines after it."""

    def __init__(self, fmt=None, format_name=None):
        logging.Formatter.__init__(self)
        self.format_name = format_name

    def format(self, record):
        code = getattr(record, "error_code", None)
        line = "%s %s [%s] [%s:%d] %s%s" % (
            format_time(record.created), record.levelname, getattr(record, "component", record.name),
            os.path.splitext(record.filename)[0], record.lineno, '[error="%s"] ' % code if code else "",
            message_of(record))
        if record.exc_info and record.exc_info[1] is not None:
            trace = trace_of(record.exc_info[1]).rstrip("\n")
            line += " :stack_trace:\n  " + trace.replace("\n", "\n  ")
        return line


# --- What has no meaning outside of the agent ---

class MetricLogHandler(object):
    """Stands for the agent's handler of a metric log's file, which there is none of."""

    @staticmethod
    def get_handler_for_path(file_path, *args, **kwargs):
        return MetricLogHandler()

    @staticmethod
    def set_use_stdout(use_stdout):
        pass

    def addFilter(self, log_filter):
        pass

    def setFormatter(self, formatter):
        pass

    def open_for_monitor(self, monitor):
        _open_monitors[id(monitor)] = monitor

    def close_for_monitor(self, monitor):
        _open_monitors.pop(id(monitor), None)

    def close(self):
        pass


class AutoFlushingRotatingFileHandler(logging.handlers.RotatingFileHandler):
    """A RotatingFileHandler; it writes at once, so there is no delay to flush after."""

    def __init__(self, filename, mode="a", maxBytes=0, backupCount=0, delay=0, flushDelay=0.0):
        logging.handlers.RotatingFileHandler.__init__(
            self, filename, mode=mode, maxBytes=maxBytes, backupCount=backupCount, delay=bool(delay))

    def set_flush_delay(self, flushDelay):
        pass


def set_log_destination(*args, **kwargs):
    """Does nothing: whoever runs the monitor decides."""


def set_log_level(*args, **kwargs):
    """Does nothing: whoever runs the monitor decides."""


def close_handlers():
    """Does nothing: there are none."""


_level = DEBUG_LEVEL_0
_loggers = {}
_loggers_lock = threading.Lock()
_open_monitors = {}
_output = TextOutput()
