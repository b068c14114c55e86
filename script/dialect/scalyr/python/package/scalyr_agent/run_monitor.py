"""Runs one monitor by hand and prints what it reports:

    python3 -m scalyr_agent.run_monitor -c '{gauss_mean: 0.5}' scalyr_agent.builtin_monitors.test_monitor
"""

import optparse
import os
import sys

import scriptbridge_forks
import scriptbridge_system
from scalyr_agent import _loader, scalyr_logging
from scalyr_agent.json_lib import JsonObject, JsonParseException, parse
from scalyr_agent.scalyr_monitor import BadMonitorConfiguration, ScalyrMonitor, UnsupportedSystem
from scriptbridge_text import as_text


def options_parser():
    parser = optparse.OptionParser(
        prog="run_monitor", usage="python3 -m scalyr_agent.run_monitor [options] MODULE",
        description="Runs a monitor and prints its metrics and its log, until Control-C.")
    parser.add_option("-p", "--monitor-python-path", default=".", metavar="DIRS",
                      help="folders to look for the module in, separated by %r (default: .)" % os.pathsep)
    parser.add_option("-c", "--monitor-config", default="{}", metavar="OBJECT",
                      help="the monitor's configuration, as JSON of the agent's relaxed kind")
    parser.add_option("-a", "--agent-config", metavar="FILE",
                      help="the agent's configuration file, for monitors that look into it")
    parser.add_option("-d", "--debug-level", type="int", default=0, metavar="LEVEL",
                      help="how much to log, 0 to 5 (default: 0)")
    parser.add_option("-s", "--monitor-sample-interval", type="float", default=5, metavar="SECONDS",
                      help="seconds between two samples (default: 5)")
    return parser


def main(args=None):
    """Runs the monitor that the arguments name; returns the exit code."""
    parser = options_parser()
    options, modules = parser.parse_args(args)
    if len(modules) != 1:
        parser.print_usage(sys.stderr)
        return _refuse("one module is needed, not %d" % len(modules))
    if not 0 <= options.debug_level <= 5:
        return _refuse("the debug level is %d, not 0 to 5" % options.debug_level)

    scalyr_logging.set_output(scalyr_logging.TextOutput(sys.stdout))
    scalyr_logging.set_debug_level(options.debug_level)
    ScalyrMonitor.DEFAULT_SAMPLE_INTERVAL_SECS = options.monitor_sample_interval
    try:
        config = _parse_object(options.monitor_config)
        global_config = None
        if options.agent_config:
            with open(options.agent_config, encoding="utf-8") as stream:
                global_config = _loader.GlobalConfig(_parse_object(stream.read()))
        _loader.add_module_paths(options.monitor_python_path.split(os.pathsep))
        config["module"] = modules[0]
        config.setdefault("id", "")
        monitor = _loader.build_monitor(config, global_config)
    except JsonParseException as error:
        return _refuse("Invalid JSON in the configuration: %s" % error)
    except BadMonitorConfiguration as error:
        return _refuse("Invalid monitor configuration: %s" % as_text(error))
    except (UnsupportedSystem, _loader.NoMonitorClass, OSError) as error:
        return _refuse(as_text(error))
    if monitor.disabled:
        return _refuse("the monitor is disabled: it says so itself")
    _run(monitor)
    return 0


def _refuse(message):
    sys.stderr.write(message + "\n")
    return 1


def _parse_object(text):
    value = parse(text)
    if not isinstance(value, JsonObject):
        raise JsonParseException("an object is needed, as in { gauss_mean: 0.5 }")
    return value


def _run(monitor):
    """Runs the monitor until it ends or a signal ends it."""
    waiter = scriptbridge_system.Waiter()
    pid = os.getpid()

    # It goes with the program, though its gather_sample may sleep for long.
    monitor.daemon = True
    run = monitor.run

    def run_and_tell():
        try:
            run()
        finally:
            if os.getpid() == pid:  # and not a child's that it has forked
                waiter.tell("e")

    monitor.run = run_and_tell
    scriptbridge_forks.handle_signals(
        scriptbridge_system.STOP_SIGNALS, lambda number, frame: waiter.tell("s"))
    monitor.open_metric_log()
    monitor.start()
    if waiter.wait() == "s":
        print("Stopping the monitor")
        monitor.stop()
    monitor.close_metric_log()


if __name__ == "__main__":
    sys.exit(main())
