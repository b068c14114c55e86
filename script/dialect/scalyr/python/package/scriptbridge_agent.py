"""The two packages that a monitor can run under: ours, and the Scalyr agent's own.

Each is a class with the same methods. Only one of them is made, once, and only
its constructor imports scalyr_agent.
"""

import inspect
import json
import logging
import os
import re
import sys
import threading

from scriptbridge_https import force_https
from scriptbridge_logs import hand_on
from scriptbridge_modules import put_first
from scriptbridge_text import as_text, message_of, one_line

FAILED = "failedMonitor"


class AgentMissing(Exception):
    """The folder that is to hold the agent's own package does not."""


class Ours(object):
    """The package that comes with the host.

    batches takes metrics and lines, log takes every logging.LogRecord.
    """

    def __init__(self, document, batches, log):
        from scalyr_agent import _loader, scalyr_logging, scalyr_monitor

        class HostOutput(scalyr_logging.Output):
            def metric(self, monitor, name, value, fields, monitor_id, timestamp):
                batches.record(name, value, fields, monitor_id, timestamp)

            def line(self, monitor, text, monitor_id, timestamp):
                batches.line(text, monitor_id)

            def log(self, record):
                log(record)

        self._loader = _loader
        self._monitor_module = scalyr_monitor
        self._agent_config = document["agent_config"]
        self.name = "scriptbridge"
        scalyr_logging.set_output(HostOutput())
        scalyr_logging.set_debug_level(document["debug"])
        scalyr_monitor.ScalyrMonitor.DEFAULT_SAMPLE_INTERVAL_SECS = float(document["interval"])
        _loader.add_module_paths(document["module_paths"])

    def build(self, config):
        """Makes the monitor. Raises what its module and its constructor raise."""
        global_config = None
        if self._agent_config is not None:
            global_config = self._loader.GlobalConfig(self._agent_config)
        return self._loader.build_monitor(config, global_config)

    def refusal(self, error):
        """Returns why a monitor was not made: a word for the kind, a line, and more of the message's fields."""
        if isinstance(error, self._loader.NoMonitorClass):
            return "class", as_text(error), {}
        kind, message, more = _refusal(self._monitor_module, error)
        missing = _missing(error)
        if missing.startswith("scalyr_agent.builtin_monitors."):
            more["hint"] = "builtin"
        elif missing.partition(".")[0] == "scalyr_agent":
            more["hint"] = "agent_package"
        return kind, message, more

    def information(self, module):
        return self._monitor_module.MonitorInformation.get_monitor_info(module)

    def runs_loop(self, monitor):
        """Tells whether the monitor is sampled, which one with a run of its own may not be."""
        return type(monitor).run is self._monitor_module.ScalyrMonitor.run


class TheAgents(object):
    """A real scalyr_agent package, in a folder that the document names."""

    def __init__(self, document, batches, log):
        folder = document["agent_package"]
        if not os.path.isfile(os.path.join(folder, "scalyr_agent", "__init__.py")):
            raise AgentMissing("agent_package: there is no package scalyr_agent in %s" % folder)
        sys.path.insert(0, folder)
        from scalyr_agent import __scalyr__, builtin_monitors, scalyr_logging, scalyr_monitor
        from scalyr_agent.monitors_manager import MonitorsManager

        self._manager = MonitorsManager
        self._monitor_module = scalyr_monitor
        self._document = document
        self.name = "scalyr-agent-2 %s" % __scalyr__.SCALYR_VERSION
        # To standard output, so that it opens no files; what is then written
        # there is kept back by _hook.
        scalyr_logging.set_log_destination(use_stdout=True)
        if document["debug"]:
            scalyr_logging.set_log_level(getattr(scalyr_logging, "DEBUG_LEVEL_%d" % document["debug"]))
        _hook(scalyr_logging, batches, log)
        put_first(builtin_monitors, document["module_paths"])

    def build(self, config):
        from scalyr_agent.util import json_scalyr_config_decode
        # The agent takes only configurations of its own types.
        config = json_scalyr_config_decode(json.dumps(config))
        paths, global_config = os.pathsep.join(self._document["module_paths"]), self._global_config()
        if global_config is not None and not global_config.allow_http_monitors:
            self._manager.load_monitor(config["module"], paths)  # which declares its options
            force_https(config, self.information(config["module"]))
        return self._manager.build_monitor(config, paths, float(self._document["interval"]), global_config)

    def _global_config(self):
        settings = self._document["agent_config"]
        if settings is None:
            return None
        import tempfile
        from scalyr_agent.configuration import Configuration
        from scalyr_agent.platform_controller import PlatformController
        # When monitors are sampled is the bridge's business.
        settings = dict(settings, global_monitor_sample_interval_enable_jitter=False)
        # It would load all modules there, if http is not allowed.
        settings.pop("monitors", None)
        # The agent reads its configuration from files only.
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "agent.json")
            with open(path, "w") as stream:
                json.dump(settings, stream)
            logger = logging.getLogger("scalyr_agent.configuration")
            config = Configuration(path, PlatformController.new_platform().default_paths, logger)
            config.parse()
        return config

    def refusal(self, error):
        # What the agent does with a module that has no monitor class.
        if isinstance(error, TypeError) and "'NoneType' object is not callable" in as_text(error):
            return "class", "the module has no class that derives from ScalyrMonitor", {}
        return _refusal(self._monitor_module, error)

    def information(self, module):
        return self._monitor_module.MonitorInformation.get_monitor_info(module)

    def runs_loop(self, monitor):
        return type(monitor).run is self._monitor_module.ScalyrMonitor.run


def _hook(scalyr_logging, batches, log):
    """Has the agent's loggers report to us instead of to the agent's logs."""
    logger_class = scalyr_logging.AgentLogger
    emits = threading.local()
    emit_value = logger_class.emit_value
    signature = inspect.signature(emit_value)

    def hooked_emit_value(self, *args, **kwargs):
        emits.line = None
        emits.active = True
        try:
            result = emit_value(self, *args, **kwargs)
        finally:
            emits.active = False
        # Where the agent wrote no line it dropped the metric.
        if emits.line is not None:
            given = signature.bind(self, *args, **kwargs).arguments
            fields = given.get("extra_fields") or {}
            batches.record(
                _valid(self, given["metric_name"], True), given["metric_value"],
                {_valid(self, key, False): value for key, value in fields.items()},
                given.get("monitor_id_override"), given.get("timestamp"))
        return result

    def is_theirs(handler):
        """Tells the agent's own handlers from those that a monitor has added itself."""
        return not isinstance(handler, scalyr_logging.MetricLogHandler) \
            and not any(isinstance(filter, scalyr_logging.AgentLogFilter) for filter in handler.filters)

    def hooked_call_handlers(self, record):
        is_told = hand_on(record, self, is_theirs)
        if getattr(record, "metric_log_for_monitor", None) is None:
            if is_told:
                log(record)
        elif getattr(emits, "active", False):
            emits.line = record
        else:
            batches.line(message_of(record), _overridden_id(record))

    logger_class.emit_value = hooked_emit_value
    logger_class.callHandlers = hooked_call_handlers


def _valid(logger, name, is_metric):
    return logger.force_valid_metric_or_field_name(name, is_metric=is_metric)


def _overridden_id(record):
    """Returns the id that a line was given in place of the monitor's, None where it was not."""
    ids = [re.search(r"\((.*)\)\Z", text or "", re.DOTALL) for text in (record.monitor_name, record.name)]
    if ids[0] is None or (ids[1] is not None and ids[0].group(1) == ids[1].group(1)):
        return None
    return ids[0].group(1)


def _refusal(monitor_module, error):
    if isinstance(error, monitor_module.BadMonitorConfiguration):
        return "config", as_text(error.message), {"field": as_text(error.field)}
    if isinstance(error, monitor_module.UnsupportedSystem):
        return "unsupported", as_text(error), {}
    more = {}
    if isinstance(error, SyntaxError):
        more["hint"] = "syntax"
    elif _lacks_pywin32(error):
        more["hint"] = "pywin32"
    elif _missing(error).partition(".")[0] in _OF_PYTHON_2[isinstance(error, NameError)]:
        more["hint"] = "python2"
    kind = "module" if isinstance(error, (ImportError, SyntaxError)) else "initialize"
    return kind, one_line(error), more


def _missing(error):
    """Returns the module, or the built-in name, that is not there or lacks something, as the error says; or ""."""
    if isinstance(error, ImportError):
        return error.name or ""
    match = _MISSING.search(as_text(error)) if isinstance(error, (NameError, AttributeError)) else None
    return match.group(match.lastindex) if match else ""


def _lacks_pywin32(error):
    """Tells whether a module of pywin32 is missing, also for one that goes on with None in its place."""
    if isinstance(error, ImportError):
        return _missing(error).partition(".")[0] in _PYWIN32
    trace = error.__traceback__ if isinstance(error, AttributeError) and "'NoneType'" in as_text(error) else None
    while trace is not None:
        if any(trace.tb_frame.f_globals.get(name, "") is None for name in _PYWIN32):
            return True
        trace = trace.tb_next
    return False


_PYWIN32 = set("""
    pythoncom pywintypes servicemanager win32api win32com win32con win32event win32evtlog win32evtlogutil win32file
    win32net win32pdh win32pdhutil win32pipe win32process win32security win32service win32serviceutil winerror
    """.split())

_MISSING = re.compile(r"^(?:partially initialized )?module '([\w.]+)' has no attribute|^name '(\w+)' is not defined")
# Modules that have another name in Python 3, or lack much that they had; and
# built-in names.
_OF_PYTHON_2 = [set(names.split()) for names in ("""
    BaseHTTPServer CGIHTTPServer ConfigParser Cookie HTMLParser Queue SimpleHTTPServer SocketServer StringIO Tkinter
    UserDict UserList __builtin__ cPickle cStringIO cookielib copy_reg htmlentitydefs httplib itertools md5 rfc822
    robotparser string urllib urllib2 urlparse xmlrpclib
    """, """
    apply basestring buffer cmp coerce execfile file intern long raw_input reduce reload unichr unicode xrange""")]


class RootHandler(logging.Handler):
    """Takes what loggers report that are not of the agent's kind: those of libraries."""

    def __init__(self, log):
        logging.Handler.__init__(self)
        self._log = log

    def emit(self, record):
        if not getattr(record, "agent_logger", False):
            self._log(record)
