"""What modules declare of their monitors: options, metrics, log fields. By module name, in order."""

import threading


class ConfigOption(object):
    """An option that define_config_option declared; its attributes are the arguments."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class MetricDescription(object):
    """A metric that define_metric declared; its attributes are the arguments."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class LogFieldDescription(object):
    """A field that define_log_field declared."""

    def __init__(self, field, description):
        self.field = field
        self.description = description


class MonitorInformation(object):
    """What a module has declared."""

    def __init__(self, monitor_module):
        self.monitor_module = monitor_module
        self.description = None
        self._options = {}
        self._metrics = {}
        self._log_fields = {}

    @property
    def config_options(self):
        return list(self._options.values())

    @property
    def metrics(self):
        return list(self._metrics.values())

    @property
    def log_fields(self):
        return list(self._log_fields.values())

    def config_option(self, name):
        return self._options.get(name)

    @staticmethod
    def get_monitor_info(monitor_module):
        """Returns what the module has declared, None for nothing."""
        return _modules.get(monitor_module)

    @staticmethod
    def set_monitor_info(monitor_module, description=None, option=None, metric=None, log_field=None):
        """Adds to what the module has declared. What is declared again holds as it was declared last."""
        with _lock:
            info = _modules.setdefault(monitor_module, MonitorInformation(monitor_module))
            # A thread that reads goes on with the map that it has.
            if description is not None:
                info.description = description
            if option is not None:
                info._options = dict(info._options, **{option.option_name: option})
            if metric is not None:
                # One name may be declared many times, for different fields.
                key = "%s %s" % (metric.metric_name, metric.extra_fields)
                info._metrics = dict(info._metrics, **{key: metric})
            if log_field is not None:
                info._log_fields = dict(info._log_fields, **{log_field.field: log_field})


def define_config_option(monitor_module, option_name, option_description, required_option=False, max_value=None,
                         min_value=None, convert_to=None, default=None, env_aware=False, env_name=None,
                         allow_http=True):
    """Declares an option of a module's monitors, which MonitorConfig then checks and converts.

    It works where monitor_module equals the monitor's module in the configuration.
    """
    MonitorInformation.set_monitor_info(monitor_module, option=ConfigOption(
        option_name=option_name, description=option_description, required_option=required_option,
        max_value=max_value, min_value=min_value, convert_to=convert_to, default=default, env_aware=env_aware,
        env_name=env_name, allow_http=allow_http))


def define_metric(monitor_module, metric_name, description, extra_fields=None, unit=None, cumulative=False,
                  category=None):
    """Declares a metric: its help, its unit, whether it only grows, and its fields.

    extra_fields maps a field to its value, or to "" for any value.
    """
    MonitorInformation.set_monitor_info(monitor_module, metric=MetricDescription(
        metric_name=metric_name, description=description, extra_fields=extra_fields, unit=unit,
        cumulative=cumulative, category=category))


def define_log_field(monitor_module, field_name, field_description):
    """Declares a field of a monitor's log lines."""
    MonitorInformation.set_monitor_info(
        monitor_module, log_field=LogFieldDescription(field_name, field_description))


_modules = {}
_lock = threading.Lock()
