"""Runs one Scalyr monitor for scriptbridge, in a process of its own.

It reads what to run from standard input and writes what the monitor reports to
a pipe, file descriptor 3 on Unix. PROTOCOL.md, beside this package's folder, describes both.
"""

import json
import logging
import os
import sys
import threading
import traceback

import scriptbridge_agent
import scriptbridge_forks
import scriptbridge_protocol
import scriptbridge_system
from scriptbridge_text import as_text, message_of, one_line, trace_of

# Older ones lack what this package and most monitors take for granted.
NEEDED = (3, 6)

# How long a monitor may take to stop, in seconds.
STOP_SECONDS = 5

# What ends the waiting: a signal, or the end of run().
STOPPED, ENDED = "s", "e"

DEFAULTS = {
    "mode": "run", "id": "", "config": {}, "interval": 30.0, "module_paths": [], "agent_package": "",
    "agent_config": None, "debug": 0}


class Host(object):
    def __init__(self, channel, document):
        self._channel = channel
        self._document = document
        self._batches = scriptbridge_protocol.Batches(channel, self._define_what_is_new)
        self._agent = None
        self._monitor = None
        self._defined = None
        self._define_lock = threading.Lock()
        self._gather_error = None  # the exception that the last batch told
        self._failure = ""  # why run() ended, if not by itself
        self._pid = os.getpid()
        self._waiter = scriptbridge_system.Waiter()

    def main(self):
        """Runs the monitor; returns how it ended, a reason and a message."""
        # Libraries log through the root logger.
        logging.getLogger().addHandler(scriptbridge_agent.RootHandler(self._log))
        logging.getLogger().setLevel(logging.DEBUG if self._document["debug"] else logging.INFO)
        try:
            if self._document["agent_package"]:
                self._agent = scriptbridge_agent.TheAgents(self._document, self._batches, self._log)
            else:
                self._agent = scriptbridge_agent.Ours(self._document, self._batches, self._log)
        except Exception as error:
            self._hello("none")
            return self._refuse("module", one_line(error), error)
        self._hello(self._agent.name)
        try:
            self._monitor = self._agent.build(self._config())
        except (Exception, SystemExit) as error:
            kind, message, more = self._agent.refusal(error)
            return self._refuse(kind, message, None if kind in ("config", "class", "unsupported") else error, **more)
        self._define_what_is_new()
        if getattr(self._monitor, "disabled", False):
            return self._refuse("disabled", "the monitor has set itself disabled")
        if self._document["mode"] == "check":
            self._ready()
            return "checked", ""
        return self._run()

    def _config(self):
        return dict(self._document["config"], module=self._document["module"], id=self._document["id"])

    def _run(self):
        monitor = self._monitor
        gather, run = monitor.gather_sample, monitor.run
        monitor.gather_sample = lambda: self._gather(gather)
        monitor.run = lambda: self._guard(run)
        scriptbridge_forks.handle_signals(
            scriptbridge_system.STOP_SIGNALS, lambda number, frame: self._waiter.tell(STOPPED))
        try:
            monitor.open_metric_log()
        except Exception as error:
            return self._refuse("initialize", "open_metric_log: " + one_line(error), error)
        self._ready()
        threading.Thread(target=self._batches.flush_forever, daemon=True).start()
        monitor.start()
        stopped = self._wait()
        if stopped:
            self._stop()
        self._batches.flush()
        if stopped:
            return "stopped", ""
        return ("failed", self._failure) if self._failure else ("finished", "")

    def _wait(self):
        """Waits for a signal or the end of run(); returns whether it was a signal.

        The end of the bridge ends the program: nobody reads any more.
        """
        letter = self._waiter.wait(self._channel.fd)
        if letter is None:
            scriptbridge_protocol.die()
        return letter == STOPPED

    def _stop(self):
        """Calls the monitor's stop, in a thread of its own: it may be overridden and never return."""
        def stop():
            try:
                try:
                    self._monitor.stop(wait_on_join=True, join_timeout=STOP_SECONDS)
                except TypeError:
                    self._monitor.stop()
            except BaseException as error:
                self._send_log("ERROR", "stop: " + one_line(error), None, "")
        thread = threading.Thread(target=stop, daemon=True)
        thread.start()
        thread.join(STOP_SECONDS)

    # --- In the monitor's thread ---

    def _gather(self, gather):
        self._batches.begin_gather()
        try:
            gather()
        except BaseException as error:
            if os.getpid() != self._pid:
                traceback.print_exc()
                leave()
            self._gather_error = error
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                self._failure = "gather_sample raised " + one_line(error)
            # Without this method's own line.
            self._batches.end_gather(one_line(error), trace_of(error, skip=1))
            raise
        if os.getpid() != self._pid:
            leave()
        self._batches.end_gather()

    def _guard(self, run):
        try:
            run()
        except BaseException as error:
            if not self._failure:
                self._failure = "run() raised " + one_line(error)
                self._send_log("ERROR", self._failure + "\n" + trace_of(error), None, "")
        finally:
            if os.getpid() == self._pid:
                self._waiter.tell(ENDED)

    # --- What is sent ---

    def _hello(self, package):
        self._channel.send(
            "hello", protocol=scriptbridge_protocol.VERSION, package=package,
            python="%d.%d.%d" % sys.version_info[:3])

    def _ready(self):
        self._channel.send(
            "ready", interval=float(self._monitor._sample_interval_secs),
            samples=self._agent.runs_loop(self._monitor))

    def _refuse(self, kind, message, error=None, field=None, hint=""):
        detail = "" if error is None else trace_of(error)
        self._channel.send(
            "refused", kind=kind, field=field, hint=hint, message=" ".join(message.split()), detail=detail)
        return "refused", " ".join(message.split())

    def _define_what_is_new(self):
        """Tells what the monitor is and what it has declared, unless that has been told."""
        if self._monitor is None:
            return
        module = self._document["module"]
        information = self._agent.information(module)
        metrics = []
        for metric in information.metrics if information else ():
            metrics.append({
                "name": _text(metric.metric_name), "description": _text(metric.description),
                "unit": None if metric.unit is None else _text(metric.unit), "cumulative": bool(metric.cumulative),
                "extra_fields": _fields(metric.extra_fields)})
        attributes = {}
        given = self._monitor.log_config.get("attributes") if hasattr(self._monitor.log_config, "get") else None
        for key, value in given.items() if hasattr(given, "items") else ():
            if isinstance(value, str):
                attributes[_text(key)] = value
        definition = {
            "monitor": module.rpartition(".")[2], "id": str(self._document["id"]),
            "class": type(self._monitor).__name__, "attributes": attributes,
            "description": _text(information and information.description or ""), "metrics": metrics}
        with self._define_lock:
            if definition != self._defined:
                self._defined = definition
                self._channel.send("define", **definition)

    def _log(self, record):
        """Sends a logging.LogRecord, from any thread."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and error is self._gather_error:
            return  # The batch has told it.
        message = message_of(record)
        code = getattr(record, "error_code", None)
        if error is not None:
            if code == scriptbridge_agent.FAILED and not self._failure:
                self._failure = "run() raised " + one_line(error)
            message += "\n" + trace_of(error).rstrip("\n")
        self._send_log(
            _level(record.levelno), message, None if code is None else _text(code),
            "%s:%d" % (record.filename, record.lineno))

    def _send_log(self, level, message, code, where):
        self._channel.send("log", level=level, message=message, code=code, where=where)


def leave():
    """Ends a child that the monitor has forked and that came back from gather_sample: one process samples."""
    scriptbridge_protocol.flush_streams()
    os._exit(0)


def _text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return as_text(value)


def _fields(declared):
    """Returns the extra fields of a declaration, each with its value or "" for any."""
    if hasattr(declared, "items"):
        return {_text(key): _text(value) for key, value in declared.items()}
    # The agent takes whatever there is, and only prints it.
    if isinstance(declared, (list, tuple, set, frozenset)):
        return {_text(key): "" for key in declared}
    return {}


def _level(number):
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO):
        if number >= level:
            return logging.getLevelName(level)
    return "DEBUG"


def read_document(stream):
    """Reads what to run. Raises ValueError."""
    document = json.loads(stream.read().decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("it is no object")
    if document.get("protocol") != scriptbridge_protocol.VERSION:
        raise ValueError("protocol %r is not %d" % (document.get("protocol"), scriptbridge_protocol.VERSION))
    if not isinstance(document.get("module"), str) or not document["module"]:
        raise ValueError("there is no module")
    return dict(DEFAULTS, **document)


def take_descriptors():
    """Returns the descriptor of the protocol, which no plugin and no child of one can reach.

    What they print lands in standard error.
    """
    fd = scriptbridge_system.private(scriptbridge_system.the_messages())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return fd


def refuse_python():
    """Tells that the interpreter is too old. Nothing that it lacks may be used before."""
    version = "%d.%d.%d" % sys.version_info[:3]
    message = "Python %s is older than %d.%d" % ((version,) + NEEDED)
    fd = scriptbridge_system.the_messages()
    for fields in (
            {"t": "hello", "protocol": scriptbridge_protocol.VERSION, "python": version, "package": "none"},
            {"t": "refused", "kind": "python", "field": None, "hint": "", "message": message, "detail": ""},
            {"t": "bye", "reason": "refused", "message": message}):
        os.write(fd, (json.dumps(fields) + "\n").encode("ascii"))


def main():
    if sys.version_info[:2] < NEEDED:
        refuse_python()
        os._exit(0)
    scriptbridge_system.print_utf8()
    try:
        document = read_document(sys.stdin.buffer)
        channel = scriptbridge_protocol.Channel(take_descriptors())
    except (ValueError, OSError) as error:
        sys.stderr.write("scriptbridge_host: %s\n" % one_line(error))
        os._exit(2)
    try:
        reason, message = Host(channel, document).main()
    except Exception:
        traceback.print_exc()
        reason, message = "failed", "the host itself failed, see its standard error"
    scriptbridge_protocol.flush_streams()
    channel.send("bye", reason=reason, message=message)
    # Threads of the monitor may be left, and would keep the program.
    os._exit(0)


if __name__ == "__main__":
    main()
