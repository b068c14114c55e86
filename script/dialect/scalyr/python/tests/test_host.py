import json
import os
import platform
import signal
import subprocess
import sys
import time
import unittest

import support
import scriptbridge_host

HEAD = """\
import os, subprocess, sys, threading
from scalyr_agent import *

class Mine(ScalyrMonitor):
"""


class HostCase(support.Case):
    agent_package = ""

    def document(self, body, head=HEAD, **fields):
        """Returns a document for a monitor with the class body, or for a module of another head."""
        self.write("mine.py", head + body)
        return dict({
            "protocol": 1, "module": "mine", "interval": 0.01, "module_paths": [self.folder],
            "agent_package": self.agent_package}, **fields)

    def run_host(self, *arguments, **fields):
        """Runs a host that ends by itself. Returns its messages but hello and define, without times."""
        messages, self.stderr, code = support.run_host(self.document(*arguments, **fields))
        self.assertEqual(code, 0, self.stderr)
        messages = [tidy(message) for message in messages]
        self.assertEqual(messages[0]["t"], "hello")
        self.hello = messages[0]
        self.defines = [message for message in messages if message["t"] == "define"]
        return [message for message in messages[1:] if message["t"] != "define"]

    def start(self, *arguments, **fields):
        host = support.HostProcess(self.document(*arguments, **fields), asked=True)
        self.addCleanup(host.wait)
        self.addCleanup(host.kill)
        return host


def tidy(message):
    """Returns a message without its times, and without the lines of our own files."""
    message.pop("time", None)
    message.pop("duration", None)
    if message.get("where", "").startswith("scalyr_monitor.py:"):
        message["where"] = "scalyr_monitor.py:N"
    return message


def ready(interval=0.01, samples=True):
    return {"t": "ready", "interval": interval, "samples": samples}


def batch(records=(), lines=(), gather=True, error="", detail=""):
    return {"t": "batch", "gather": gather, "error": error, "detail": detail,
            "records": list(records), "lines": list(lines)}


def log(level, message, where, code=None):
    return {"t": "log", "level": level, "message": message, "code": code, "where": where}


def bye(reason, message=""):
    return {"t": "bye", "reason": reason, "message": message}


class RunTest(HostCase):
    def test_everything(self):
        messages = self.run_host("""\
    '''About it.'''
    def _initialize(self):
        self.log_config["attributes"] = {"tier": "web", "number": 1}
    def gather_sample(self):
        self._logger.emit_value("a b", 1.5, extra_fields={"value": True, "t": "x"})
        self._logger.emit_value("huge", 10 ** 30, monitor_id_override="pod", timestamp=1400000000123)
        self._logger.emit_value("huger", -10 ** 5000)
        self._logger.emit_value("nan", float("nan"), extra_fields={"inf": -float("inf")})
        self._logger.emit_value("text", self._config.get("text"))
        self._logger.emit_values({"k": 1})
        self._logger.info("raw %d", 1, emit_to_metric_log=True, monitor_id_override="pod")
        self._run_state.stop()
""", id="x", config={"text": "né"})
        self.assertEqual(self.hello, {
            "t": "hello", "protocol": 1, "python": platform.python_version(), "package": "scriptbridge"})
        self.assertEqual(self.defines, [{
            "t": "define", "monitor": "mine", "id": "x", "class": "Mine", "description": "About it.",
            "attributes": {"tier": "web"}, "metrics": []}])
        self.assertEqual(messages, [
            ready(),
            log("WARNING", "the metric name 'a b' is written a_b: a letter or underscore, then letters, digits, dots, "
                "dashes and underscores are allowed; the first such name of the day is told", "mine.py:9",
                "client/badMetricName"),
            batch([
                ["a_b", 1.5, {"value_": True, "t": "x"}, None, None], ["huge", 10 ** 30, None, "pod", 1400000000123],
                ["huger", {"f": "-Inf"}, None, None, None], ["nan", {"f": "NaN"}, {"inf": {"f": "-Inf"}}, None, None],
                ["text", "né", None, None, None]],
                [{"text": "k=1", "id": None}, {"text": "raw 1", "id": "pod"}]),
            log("INFO", "Monitor has finished", "scalyr_monitor.py:N"),
            bye("finished")])

    def test_prints_and_children(self):
        messages = self.run_host("""\
    def gather_sample(self):
        print("printed n\\u00e9", flush=True)
        os.system("echo of a child")
        for streams in (None, subprocess.PIPE):
            subprocess.Popen([sys.executable, "-c", "print('of another')"], stdin=streams).communicate()
        self._run_state.stop()
""", head="print('imported')\n" + HEAD)
        self.assertEqual([message["t"] for message in messages], ["ready", "batch", "log", "bye"])
        self.assertEqual(messages[1], batch())
        for printed in ("imported\n", "printed n\u00e9\n", "of a child" + os.linesep, "of another" + os.linesep):
            self.assertIn(printed, self.stderr)

    @unittest.skipIf(support.WINDOWS, "Windows has no descriptors beyond the third, and no fork")
    def test_children_do_not_report(self):
        messages = self.run_host("""\
    def gather_sample(self):
        os.system("cat; echo no >&3; ls -l /proc/self/fd")
        if os.fork() == 0:
            self._logger.emit_value("child", 1)
            self._logger.error("child")
            os._exit(0)
        os.wait()
        self._run_state.stop()
""")
        self.assertEqual([message["t"] for message in messages], ["ready", "batch", "log", "bye"])
        self.assertEqual(messages[1], batch())
        self.assertNotIn("no\n", self.stderr)

    @unittest.skipUnless(support.WINDOWS, "elsewhere the messages have a descriptor, not a handle")
    def test_children_do_not_have_the_handle(self):
        messages = self.run_host("""\
    def gather_sample(self):
        import ctypes, gc, msvcrt
        emit = self._logger.emit_value
        emit("told", "SCRIPTBRIDGE_MESSAGE_HANDLE" in os.environ)
        fd, = [o.fd for o in gc.get_objects() if type(o).__name__ == "Channel"]
        handle = msvcrt.get_osfhandle(fd)
        emit("inheritable", os.get_handle_inheritable(handle))
        write = "import msvcrt, os; os.write(%s, b'no')"
        by_handle = [sys.executable, "-c", write % ("msvcrt.open_osfhandle(%d, os.O_WRONLY)" % handle)]
        emit("exit", subprocess.call(by_handle))
        emit("exit", subprocess.call(by_handle, close_fds=False))
        # os.spawn passes descriptors on, and words without blanks only.
        by_fd = "__import__('os').write(%d,b'no')" % fd
        emit("exit", os.spawnv(os.P_WAIT, sys.executable, ["python", "-c", by_fd]))
        self._run_state.stop()
""")
        self.assertEqual([record[:2] for record in messages[1]["records"]], [
            ["told", False], ["inheritable", False], ["exit", 1], ["exit", 1], ["exit", 1]])

    def test_exceptions(self):
        messages = self.run_host("""\
    done = 0
    def gather_sample(self):
        self.done += 1
        self._logger.emit_value("n", self.done)
        if self.done == 2:
            self._run_state.stop()
        raise ValueError("bad\\n luck")
""")
        file = os.path.join(self.folder, "mine.py")
        trace = 'Traceback (most recent call last):\n  File "%s", line 11, in gather_sample\n' % file
        trace += '    raise ValueError("bad\\n luck")\nValueError: bad\n luck\n'
        self.assertEqual(messages, [
            ready(),
            batch([["n", 1, None, None, None]], error="ValueError: bad luck", detail=trace),
            batch([["n", 2, None, None, None]], error="ValueError: bad luck", detail=trace),
            log("INFO", "Monitor has finished", "scalyr_monitor.py:N"), bye("finished")])

    def test_exit(self):
        messages = self.run_host("""\
    def gather_sample(self):
        self._logger.emit_value("a", 1)
        sys.exit(3)
""")
        self.assertEqual(messages[1]["error"], "SystemExit: 3")
        self.assertEqual(messages[1]["records"], [["a", 1, None, None, None]])
        self.assertEqual(messages[2:], [bye("failed", "gather_sample raised SystemExit: 3")])

    def test_loop_fails(self):
        messages = self.run_host("""\
    def gather_sample(self):
        raise ValueError("bad")
    def increment_counter(self, reported_lines=0, errors=0):
        raise KeyError("worse")
""")
        self.assertEqual([message["t"] for message in messages], ["ready", "batch", "log", "bye"])
        self.assertEqual((messages[1]["error"], messages[2]["code"]), ("ValueError: bad", "failedMonitor"))
        self.assertEqual(messages[3], bye("failed", "run() raised KeyError: 'worse'"))

    def test_logs(self):
        messages = self.run_host("""\
    def gather_sample(self):
        import logging
        self._logger.debug("unheard")
        self._logger.warn("of %s", "ours", error_code="a/b")
        logging.getLogger("library").error("of a library")
        logging.info("of root")
        self._logger.log(35, "between")
        self._logger.error("%d", "bad")
        try:
            1 / 0
        except ZeroDivisionError:
            self._logger.exception("caught")
        self._run_state.stop()
""")
        logs = [message for message in messages if message["t"] == "log"]
        self.assertEqual(logs[:4], [
            log("WARNING", "of ours", "mine.py:8", "a/b"), log("ERROR", "of a library", "mine.py:9"),
            log("INFO", "of root", "mine.py:10"), log("WARNING", "between", "mine.py:11")])
        self.assertEqual(logs[4]["message"][:4], "%d (")
        self.assertRegex(
            logs[5]["message"],
            r"\Acaught\nTraceback \(most recent call last\):\n(.*\n)+ZeroDivisionError: .*by zero\Z")

    def test_debug(self):
        messages = self.run_host("""\
    def gather_sample(self):
        self._logger.debug("heard")
        self._run_state.stop()
""", debug=1)
        self.assertEqual(
            [(m["level"], m["message"]) for m in messages if m["t"] == "log"],
            [("DEBUG", "Starting monitor"), ("DEBUG", "heard"), ("INFO", "Monitor has finished")])

    def test_definitions(self):
        self.run_host("""\
    def gather_sample(self):
        define_metric(__name__, "late", "L", extra_fields={"n": 1, "b": True})
        self._run_state.stop()
""", head=HEAD.replace("class", """\
define_metric(__name__, "cpu", "C", unit="secs:0.01", cumulative=True, extra_fields={"type": "user"})
class"""))
        cpu = {"name": "cpu", "description": "C", "unit": "secs:0.01", "cumulative": True,
               "extra_fields": {"type": "user"}}
        late = {"name": "late", "description": "L", "unit": None, "cumulative": False,
                "extra_fields": {"n": "1", "b": "true"}}
        self.assertEqual([define["metrics"] for define in self.defines], [[cpu], [cpu, late]])

    def test_intervals(self):
        body = "    def gather_sample(self):\n        self._run_state.stop()\n"
        self.assertEqual(self.run_host(body, interval=7)[0], ready(7.0))
        self.assertEqual(self.run_host(body, interval=7, config={"sample_interval": "3"})[0], ready(3.0))

    def test_agent_config(self):
        messages = self.run_host("""\
    def gather_sample(self):
        self._logger.emit_value("key", self._global_config.api_key)
        self._run_state.stop()
""", agent_config={"api_key": "k"})
        self.assertEqual(messages[1], batch([["key", "k", None, None, None]]))


class OwnRunTest(HostCase):
    def test_returns(self):
        messages = self.run_host("""\
    def run(self):
        thread = threading.Thread(target=self._logger.emit_value, args=("a", 1))
        thread.start()
        thread.join()
""")
        self.assertEqual(messages, [
            ready(samples=False), batch([["a", 1, None, None, None]], gather=False), bye("finished")])

    def test_raises(self):
        for action, message in (
                ("raise ValueError('bad')", "run() raised ValueError: bad"),
                ("sys.exit(1)", "run() raised SystemExit: 1")):
            messages = self.run_host("    def run(self):\n        %s\n" % action)
            self.assertEqual([m["t"] for m in messages], ["ready", "log", "bye"])
            self.assertEqual(messages[1]["message"].splitlines()[0], message)
            self.assertEqual(messages[2], bye("failed", message))

    def test_never_returns(self):
        host = self.start("""\
    def run(self):
        self._logger.emit_value("a", 1)
        threading.Event().wait()
    def stop(self, *args, **kwargs):
        self._logger.emit_value("last", 2)
""")
        first = host.until(lambda message: message["t"] == "batch")
        self.assertEqual((first["gather"], first["records"]), (False, [["a", 1, None, None, None]]))
        host.terminate()
        rest = list(host.messages())
        self.assertEqual(rest[0]["records"], [["last", 2, None, None, None]])
        self.assertEqual(rest[1:], [bye("stopped")])
        self.assertEqual(host.wait(), 0)

    def test_first_sample_never_returns(self):
        host = self.start("""\
    def gather_sample(self):
        self._logger.emit_value("a", 1)
        threading.Event().wait()
    def stop(self):
        pass
""")
        first = host.until(lambda message: message["t"] == "batch")
        self.assertEqual((first["gather"], first["records"]), (False, [["a", 1, None, None, None]]))


class StopTest(HostCase):
    BODY = """\
    def gather_sample(self):
        self._logger.emit_value("a", 1)
"""

    def stop(self, body):
        host = self.start(self.BODY + body, interval=3600)
        host.until(lambda message: message["t"] == "batch")
        host.terminate()
        messages = [tidy(message) for message in host.messages()]
        self.assertEqual(host.wait(), 0)
        return messages

    def test_stop(self):
        self.assertEqual(self.stop(""), [
            log("INFO", "Monitor has finished", "scalyr_monitor.py:N"), bye("stopped")])

    def test_signal_in_another_thread(self):
        """The system may give the signal to any thread, and Python's handlers run in the first one only."""
        messages = self.run_host(self.BODY + support.SIGNALS_ITSELF, interval=3600)
        self.assertEqual(messages[-1], bye("stopped"))

    def test_overridden(self):
        self.assertEqual(self.stop("    def stop(self):\n        raise ValueError('bad')\n"), [
            log("ERROR", "stop: ValueError: bad", ""), bye("stopped")])
        self.assertEqual(self.stop("    def stop(self, wait_on_join=True, join_timeout=5):\n        sys.exit(1)\n"), [
            log("ERROR", "stop: SystemExit: 1", ""), bye("stopped")])

    def test_never_stops(self):
        class Monitor(object):
            def stop(self, **kwargs):
                support.threading.Event().wait()
        host = scriptbridge_host.Host(None, {})
        host._monitor = Monitor()
        before, scriptbridge_host.STOP_SECONDS = scriptbridge_host.STOP_SECONDS, 0.01
        self.addCleanup(setattr, scriptbridge_host, "STOP_SECONDS", before)
        host._stop()  # returns

    def test_bridge_is_gone(self):
        host = self.start("""\
    def gather_sample(self):
        child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
        self._logger.emit_value("child", child.pid)
""", interval=3600)
        child = host.until(lambda message: message["t"] == "batch")["records"][0][1]
        host.reader.close()
        self.assertEqual(host.process.wait(support.PATIENCE), 1)
        if support.WINDOWS:
            os.kill(child, signal.SIGTERM)  # which otherwise the end of the bridge's job object does
            return
        # A process that ended is a zombie until init has noticed.
        deadline = time.monotonic() + support.PATIENCE
        while state_of(child) not in (None, "Z"):
            self.assertLess(time.monotonic(), deadline, "the child is left")


def state_of(pid):
    try:
        with open("/proc/%d/stat" % pid) as stream:
            return stream.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


class RefusedTest(HostCase):
    def refused(self, *arguments, **fields):
        """Returns kind, field and message; the last line of the detail; and checks that bye follows."""
        messages = self.run_host(*arguments, mode="check", **fields)
        self.assertEqual([message["t"] for message in messages], ["refused", "bye"])
        self.assertEqual(messages[1], bye("refused", messages[0]["message"]))
        refused = messages[0]
        return refused["kind"], refused["field"], refused["message"], refused["detail"].rpartition("\n")[0][-40:]

    def initialize(self, statement, **config):
        return self.refused("    def _initialize(self):\n        %s\n" % statement, config=config)

    def test_config(self):
        get = "self._config.get('gauss_mean', required_field=True, convert_to=float, max_value=10)"
        self.assertEqual(self.initialize(get), (
            "config", "gauss_mean", 'the required field "gauss_mean" is missing', ""))
        self.assertEqual(self.initialize(get, gauss_mean=18.5), (
            "config", "gauss_mean", 'the field "gauss_mean" is 18.5; its maximum is 10', ""))
        self.assertEqual(self.initialize(get, gauss_mean=True), (
            "config", "gauss_mean", 'the field "gauss_mean" is true or false, and a number is needed', ""))
        self.assertEqual(self.initialize("raise BadMonitorConfiguration('no\\nluck', 'f')"), (
            "config", "f", "no luck", ""))

    def test_initialize(self):
        kind, field, message, detail = self.initialize("raise ValueError('bad')")
        self.assertEqual((kind, field, message), ("initialize", None, "ValueError: bad"))
        self.assertTrue(detail.endswith("ValueError: bad"), detail)
        self.assertEqual(self.initialize("sys.exit('bad')")[:3], ("initialize", None, "SystemExit: bad"))

    def test_unsupported_and_disabled(self):
        self.assertEqual(self.initialize("raise UnsupportedSystem('m', 'not here')"), (
            "unsupported", None, "not here", ""))
        self.assertEqual(self.initialize("self.disabled = True"), (
            "disabled", None, "the monitor has set itself disabled", ""))
        self.assertEqual(len(self.defines), 1)

    def test_module(self):
        self.assertEqual(self.refused("    pass\n", module="missing_module")[:3], (
            "module", None, "ModuleNotFoundError: No module named 'missing_module'"))
        self.assertEqual(self.refused("import missing_library\n", head="")[:3], (
            "module", None, "ModuleNotFoundError: No module named 'missing_library'"))
        self.assertEqual(self.refused("x = = 1\n", head="")[:2], ("module", None))
        self.assertEqual(self.refused("x = 1\n", head="")[:2], ("class", None))

    def test_hints(self):
        """What is likely the matter: another Python's module, or another package's."""
        for code, want in (
                ("print 'x'", ("module", "syntax")),
                ("try:\n    pass\nexcept ValueError, error:\n    pass", ("module", "syntax")),
                ("if True:\n\tx = 1\n        y = 2", ("module", "syntax")),
                ("mode = 0644", ("module", "syntax")),
                ("import urllib2", ("module", "python2")),
                ("import ConfigParser as configparser", ("module", "python2")),
                ("from itertools import izip", ("module", "python2")),
                ("from urllib import urlencode", ("module", "python2")),
                ("TYPES = (str, unicode)", ("initialize", "python2")),
                ("x = xrange(3)", ("initialize", "python2")),
                ("import string\nx = string.letters", ("initialize", "python2")),
                ("import win32evtlog", ("module", "pywin32")),
                ("win32con = None\nwin32con.EVENTLOG_ERROR_TYPE", ("initialize", "pywin32")),
                ("sys = None\nsys.X", ("initialize", "")),
                ("import requests_or_so", ("module", "")),
                ("import commands_of_mine.unicode", ("module", "")),
                ("from os import nothing", ("module", "")),
                ("x = undefined", ("initialize", "")),
                ("import os\nos.unicode", ("initialize", "")),
                ("import scalyr_agent.monitor_utils.k8s", ("module", "agent_package")),
                ("from scalyr_agent.third_party import tcollector", ("module", "agent_package")),
                ("from scalyr_agent.util import RunState, nothing", ("module", "agent_package")),
                ("from scalyr_agent import monitors_manager", ("module", "agent_package")),
                ("import scalyr_agent.util\nscalyr_agent.util.nothing", ("initialize", "agent_package")),
                ("import scalyr_agent.builtin_monitors.docker_monitor", ("module", "builtin"))):
            if sys.version_info < (3, 7) and code.startswith("from "):
                continue  # It does not say from where a name cannot be imported.
            messages = self.run_host(code + "\n", head="", mode="check")
            self.assertEqual((messages[0]["kind"], messages[0]["hint"]), want, code)

    def test_hints_of_the_module_itself(self):
        for module, want in (
                ("missing", ("module", "")), ("scalyr_agent.missing", ("module", "agent_package")),
                ("scalyr_agent.builtin_monitors.missing", ("module", "builtin")), ("missing.unicode", ("module", ""))):
            messages = self.run_host("    pass\n", mode="check", module=module)
            self.assertEqual((messages[0]["kind"], messages[0]["hint"]), want, module)

    def test_old_python(self):
        """An interpreter that is too old says so, before it needs anything that it lacks."""
        for version in ((2, 7, 18), (3, 5, 2)):
            messages, stderr, code = support.run_host(self.document("    pass\n"), version=version)
            text = "Python %d.%d.%d" % version
            self.assertEqual((messages, stderr, code), ([
                {"t": "hello", "protocol": 1, "python": text[7:], "package": "none"},
                {"t": "refused", "kind": "python", "field": None, "hint": "",
                 "message": text + " is older than 3.6", "detail": ""},
                bye("refused", text + " is older than 3.6")], "", 0))

    def test_python_2(self):
        if os.system("python2.7 -c pass 2>/dev/null") != 0:
            self.skipTest("python2.7 is not installed")
        messages, stderr, code = support.run_host(self.document("    pass\n"), python="python2.7")
        self.assertEqual([message["t"] for message in messages], ["hello", "refused", "bye"], stderr)
        self.assertRegex(messages[1]["message"], r"\APython 2\.7\.\d+ is older than 3\.6\Z")
        self.assertEqual((stderr, code), ("", 0))

    def test_agent_package(self):
        messages = self.run_host("    pass\n", agent_package="/nowhere")
        self.assertEqual(self.hello["package"], "none")
        self.assertEqual(
            (messages[0]["kind"], messages[0]["message"]),
            ("module", "AgentMissing: agent_package: there is no package scalyr_agent in /nowhere"))

    def test_metric_log(self):
        messages = self.run_host("    def open_metric_log(self):\n        raise ValueError('bad')\n")
        self.assertEqual(
            (messages[0]["kind"], messages[0]["message"]), ("initialize", "open_metric_log: ValueError: bad"))

    def test_check(self):
        messages = self.run_host("    def gather_sample(self):\n        os.abort()\n", mode="check")
        self.assertEqual(messages, [ready(), bye("checked")])

    def test_documents(self):
        for document, message in (
                ({"protocol": 2, "module": "x"}, "ValueError: protocol 2 is not 1"),
                ({"protocol": 1}, "ValueError: there is no module"),
                ("x", "ValueError: it is no object")):
            messages, stderr, code = support.run_host(document)
            self.assertEqual((messages, code), ([], 2))
            self.assertRegex(stderr, r"\Ascriptbridge_host: %s\n\Z" % message)

    def test_no_descriptor(self):
        process = subprocess.Popen(
            [sys.executable, os.path.join(support.PACKAGE, "scriptbridge_host.py")], stdin=subprocess.PIPE,
            stderr=subprocess.PIPE, env=support.python_environment())
        _, stderr = process.communicate(json.dumps(self.document("    pass\n")).encode("utf-8"))
        self.assertEqual(process.returncode, 2)
        missing = b"the environment has no SCRIPTBRIDGE_MESSAGE_HANDLE" if support.WINDOWS \
            else b"[Errno 9] Bad file descriptor"
        self.assertEqual(stderr, b"scriptbridge_host: OSError: " + missing + b"\n")


@unittest.skipUnless(
    os.environ.get("SCALYR_AGENT"), "SCALYR_AGENT names no folder that holds the agent's own package")
class PeerTest(HostCase):
    """One monitor under both packages: what is reported is the same."""

    BODY = """\
    '''About it.'''
    done = 0
    def _initialize(self):
        self.log_config["attributes"] = {"tier": "web"}
        self.mean = self._config.get("mean", convert_to=float)
    def gather_sample(self):
        self.done += 1
        emit = self._logger.emit_value
        for name in ("plain", "9x", "a b", "value", "é", "%"):
            emit(name, self.done, extra_fields={name: "x", "n": 1})
        emit("mean", self.mean)
        emit("huge", 10 ** 30, monitor_id_override="pod", timestamp=1400000000123)
        emit("nan", float("nan"))
        emit("text", "né \\"q\\"")
        emit("flag", True)
        emit("dropped", 1)
        self._logger.emit_values({"k": 1, "b": True, "f": 1.5})
        self._logger.info("raw %d", 1, emit_to_metric_log=True, monitor_id_override="pod")
        self._logger.error("told", error_code="a/b")
        if self.done == 2:
            self._run_state.stop()
            emit("none", None)
"""

    def test_reports_the_same(self):
        results = []
        for package in ("", os.environ["SCALYR_AGENT"]):
            messages = self.run_host(
                self.BODY, head=HEAD.replace("class", "define_metric(__name__, 'plain', 'P', unit='bytes')\nclass"),
                agent_package=package, id="x", config={"mean": "1.5", "metric_name_blacklist": ["dropped"]})
            batches = [message for message in messages if message["t"] == "batch"]
            errors = [message.pop("error").partition(":")[0] for message in batches]
            for message in batches:
                message.pop("detail")
            told = [(m["level"], m["code"], m["where"]) for m in messages if m["t"] == "log" and m["code"] == "a/b"]
            results.append([self.defines, batches, errors, told, messages[0], messages[-1]])
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0][2], ["", "UnsupportedValueType"])
        self.assertRegex(self.hello["package"], r"\Ascalyr-agent-2 \d")

    def test_users_builtin_monitors_win(self):
        """One that users have put into their folders comes before the package's own, in both."""
        self.write("test_monitor.py", HEAD + "    pass\n")
        for package in ("", os.environ["SCALYR_AGENT"]):
            self.run_host(
                "", head="", agent_package=package, mode="check", module="scalyr_agent.builtin_monitors.test_monitor")
            self.assertEqual([define["class"] for define in self.defines], ["Mine"])

    def test_refuses_the_same(self):
        get = "    def _initialize(self):\n        self._config.get('a', convert_to=int, max_value=3)\n"
        for config in ({"a": 4}, {"a": "x"}):
            kinds = []
            for package in ("", os.environ["SCALYR_AGENT"]):
                refused = self.run_host(get, agent_package=package, config=config)[0]
                kinds.append((refused["kind"], refused["field"]))
            self.assertEqual(kinds, [("config", "a")] * 2)
        for package in ("", os.environ["SCALYR_AGENT"]):
            self.assertEqual(self.run_host("x = 1\n", head="", agent_package=package)[0]["kind"], "class")


if __name__ == "__main__":
    unittest.main()
