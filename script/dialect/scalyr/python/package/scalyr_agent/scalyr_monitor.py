"""ScalyrMonitor, the class that every monitor derives from."""

import hashlib
import time

from scalyr_agent._config import BadMonitorConfiguration, MonitorConfig
from scalyr_agent._registry import (
    ConfigOption,
    LogFieldDescription,
    MetricDescription,
    MonitorInformation,
    define_config_option,
    define_log_field,
    define_metric,
)
from scalyr_agent.json_lib.objects import ArrayOfStrings
from scalyr_agent.util import RunState, StoppableThread

__all__ = [
    "BadMonitorConfiguration",
    "ConfigOption",
    "LogFieldDescription",
    "MetricDescription",
    "MonitorConfig",
    "MonitorInformation",
    "RunState",
    "ScalyrMonitor",
    "StoppableThread",
    "UnsupportedSystem",
    "define_config_option",
    "define_log_field",
    "define_metric",
]


class UnsupportedSystem(Exception):
    """A monitor cannot run on this machine."""

    def __init__(self, monitor_name, message):
        Exception.__init__(self, message)
        self.monitor_name = monitor_name


class ScalyrMonitor(StoppableThread):
    """A monitor: a thread that calls gather_sample at an interval.

    A subclass overrides gather_sample, and _initialize to read self._config.
    What _initialize raises keeps the monitor from running; at that time the
    thread is not there yet: no _run_state, no stop, no sleep.

    For subclasses: _config (MonitorConfig), _logger (AgentLogger),
    _sample_interval_secs, _global_config (or None), log_config and disabled,
    the last three of which may be set in _initialize, and
    _adjust_sleep_by_gather_time.
    """

    # The interval in seconds where neither the caller nor the configuration
    # gives one. Whoever runs monitors may set it.
    DEFAULT_SAMPLE_INTERVAL_SECS = 30.0

    def __init__(self, monitor_config, logger, sample_interval_secs=None, global_config=None):
        self._logger = logger
        self.monitor_name = logger.monitor_name if hasattr(logger, "monitor_name") else logger.name
        self._reported_lines = 0
        self._errors = 0
        module = monitor_config["module"]
        self._module_name = module
        self._id = str(monitor_config["id"]) if "id" in monitor_config else ""
        self._config = MonitorConfig(monitor_config, monitor_module=module)
        self.raw_monitor_name = self.monitor_module_name = module.rpartition(".")[2]
        self.monitor_id = self._id or "default"
        self.log_config = {"path": self.monitor_module_name + ".log"}
        self.disabled = False
        self._global_config = global_config
        self._log_watcher = None

        get = self._config.get
        self._sample_interval_secs = sample_interval_secs
        if sample_interval_secs is None:
            self._sample_interval_secs = get(
                "sample_interval", convert_to=float, default=self.DEFAULT_SAMPLE_INTERVAL_SECS)
        self._log_write_rate = get("monitor_log_write_rate", convert_to=int, default=2000)
        self._log_max_write_burst = get("monitor_log_max_write_burst", convert_to=int, default=100000)
        self._log_flush_delay = get("monitor_log_flush_delay", convert_to=float, default=0.0, min_value=0)
        self._metric_name_blacklist = get(
            "metric_name_blacklist", convert_to=ArrayOfStrings, default=ArrayOfStrings())
        # Read so that a wrong value is told; Prometheus has its own rate().
        self._calculate_rate_metric_name = get(
            "calculate_rate_metric_names", convert_to=ArrayOfStrings, default=ArrayOfStrings())
        self._adjust_sleep_by_gather_time = False

        self._initialize()
        StoppableThread.__init__(self, name="monitor")

    # --- For subclasses to override ---

    def _initialize(self):
        """Reads and checks self._config. What it raises keeps the monitor from running."""

    def gather_sample(self):
        """Reports what there is now, through self._logger. Called once an interval, never twice at a time."""

    def run(self):
        """Calls gather_sample, sleeps for the interval, and so on until stop.

        An exception in gather_sample is logged, and the loop goes on.
        """
        try:
            self._logger.debug("Starting monitor")
            while not self._is_thread_stopped():
                began = time.perf_counter()
                try:
                    self.gather_sample()
                except Exception:
                    self._logger.exception("gather_sample failed")
                pause = self._sample_interval_secs
                if self._adjust_sleep_by_gather_time:
                    pause -= min(time.perf_counter() - began, pause)
                self._sleep_but_awaken_if_stopped(pause)
            self._logger.info("Monitor has finished")
        except Exception:
            self._logger.exception("the monitor ends: an exception escaped its loop", error_code="failedMonitor")

    # --- For subclasses to call ---

    def set_sample_interval(self, secs):
        self._sample_interval_secs = secs

    def _is_thread_stopped(self):
        return not self._run_state.is_running()

    def _sleep_but_awaken_if_stopped(self, time_to_sleep):
        """Sleeps for so many seconds, or until stop; returns whether it is stopped."""
        return self._run_state.sleep_but_awaken_if_stopped(time_to_sleep)

    def increment_counter(self, reported_lines=0, errors=0):
        self._reported_lines += reported_lines
        self._errors += errors

    # --- For whoever runs the monitor ---

    @property
    def module_name(self):
        return self._module_name

    @property
    def uid(self):
        return "%s-%s" % (self._module_name, self._id)

    @property
    def short_hash(self):
        return hashlib.sha256(("%s:%s" % (self._module_name, self.monitor_id)).encode("utf-8")).hexdigest()[:10]

    def reported_lines(self):
        return self._reported_lines

    def errors(self):
        return self._errors

    def open_metric_log(self):
        """Lets the monitor report metrics; returns whether it may."""
        self._logger.openMetricLogForMonitor(self.log_config.get("path"), self)
        return True

    def close_metric_log(self):
        self._logger.closeMetricLog()

    def get_calculate_rate_metric_names(self):
        return list(self._calculate_rate_metric_name)

    def get_stop_agent_on_failure(self):
        return bool(self._config.get("stop_agent_on_failure", convert_to=bool, default=False))

    def get_extra_server_attributes(self):
        return None

    def get_user_agent_fragment(self):
        return None

    def config_from_monitors(self, manager):
        """Called by the agent with its manager of monitors, which there is none of here."""

    def set_log_watcher(self, log_watcher):
        self._log_watcher = log_watcher
