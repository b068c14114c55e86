"""Finds a monitor's class and makes a monitor of it."""

import importlib
import inspect
import os
import sys

from scalyr_agent import builtin_monitors, scalyr_logging
from scalyr_agent._global_config import GlobalConfig
from scalyr_agent._registry import MonitorInformation
from scalyr_agent.json_lib.objects import to_json_types
from scalyr_agent.scalyr_monitor import ScalyrMonitor
from scriptbridge_https import force_https
from scriptbridge_modules import put_first

__all__ = ["GlobalConfig", "NoMonitorClass", "add_module_paths", "build_monitor", "load_monitor_class"]

# The stand-in for six is for interpreters that have none.
_FALLBACK = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fallback")


class NoMonitorClass(Exception):
    """A module has no class that derives from ScalyrMonitor."""


def add_module_paths(paths):
    """Has monitors looked for in these folders too, after all others, in order.

    scalyr_agent.builtin_monitors.NAME finds NAME in them as well, before ours:
    users of the agent keep monitors in that package.
    """
    for path in paths:
        if path not in sys.path:
            sys.path.append(path)
    put_first(builtin_monitors, paths)
    if _FALLBACK in sys.path:
        sys.path.remove(_FALLBACK)
    sys.path.append(_FALLBACK)
    importlib.invalidate_caches()


def load_monitor_class(module_name):
    """Imports a module and returns its monitor class.

    Raises NoMonitorClass, and whatever the import raises.
    """
    module = importlib.import_module(module_name)
    candidates = [
        value for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, ScalyrMonitor) and value is not ScalyrMonitor]
    # A class of the module's own comes before one that it imports, a subclass
    # before what it derives from, and the first before the others.
    own = [cls for cls in candidates if cls.__module__ == module.__name__] or candidates
    leaves = [cls for cls in own if not any(other is not cls and issubclass(other, cls) for other in own)]
    if not leaves:
        raise NoMonitorClass(
            "the module %s (%s) has no class that derives from ScalyrMonitor; a module of the same name that "
            "Python finds earlier hides a monitor" % (module_name, getattr(module, "__file__", "built in")))
    distinct = sorted(set(leaves), key=leaves.index)
    if len(distinct) > 1:
        _log.warning("the module %s has several monitor classes: %s is run, not %s", module_name,
                     distinct[0].__name__, ", ".join(cls.__name__ for cls in distinct[1:]))
    return distinct[0]


def build_monitor(config, global_config=None):
    """Makes the monitor that config (a dict with module and id) describes.

    Raises what load_monitor_class does and what the monitor's constructor does.
    """
    config = to_json_types(dict(config))
    module_name = config["module"]
    config.setdefault("id", "")
    cls = load_monitor_class(module_name)
    MonitorInformation.set_monitor_info(module_name, description=inspect.cleandoc(cls.__doc__ or ""))
    if getattr(global_config, "allow_http_monitors", True) is False:
        force_https(config, MonitorInformation.get_monitor_info(module_name))
    logger = scalyr_logging.getLogger("%s(%s)" % (module_name, config["id"]))
    if _accepts(cls.__init__, "global_config"):
        return cls(config, logger, global_config=global_config)
    # A constructor from before 2015.
    monitor = cls(config, logger)
    monitor._global_config = global_config
    return monitor


def _accepts(function, keyword):
    parameters = inspect.signature(function).parameters
    return keyword in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


_log = scalyr_logging.getLogger(__name__)
