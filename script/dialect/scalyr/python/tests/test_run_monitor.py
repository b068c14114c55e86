import os
import re
import signal
import subprocess
import sys
import unittest

import support

MONITOR = """
from scalyr_agent import ScalyrMonitor, UnsupportedSystem


class Mine(ScalyrMonitor):
    def _initialize(self):
        self.count = 0
        refuse = self._config.get("refuse")
        if refuse == "unsupported":
            raise UnsupportedSystem("mine", "not on this machine")
        if refuse == "exception":
            raise ValueError("bad")
        self.disabled = refuse == "disabled"
        self._config.get("low", convert_to=int, max_value=3)

    def gather_sample(self):
        self.count += 1
        self._logger.emit_value("value", 1.5, extra_fields={
            "count": self.count, "interval": self._sample_interval_secs, "text": self._config.get("text") or "",
            "key": str(self._global_config and self._global_config.api_key)})
        self._logger.info("a line")
        if self._config.get("end"):
            self._run_state.stop()
"""
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", re.MULTILINE)
LINE = re.compile(r"(\[\w+):\d+\]")


def text(printed):
    return printed.decode("utf-8").replace(os.linesep, "\n")


class RunMonitorTest(support.Case):
    def setUp(self):
        super().setUp()
        self.write("mine.py", MONITOR)

    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "scalyr_agent.run_monitor"] + list(arguments), cwd=self.folder,
            env=support.python_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **support.OWN_GROUP)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        return process

    def run_monitor(self, *arguments):
        """Returns the exit code, what was printed with TIME and N for times and line numbers, and the errors."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=support.PATIENCE)
        output = LINE.sub(r"\1:N]", TIME.sub("TIME", text(output)))
        return process.returncode, output, text(errors)

    def test_output(self):
        self.assertEqual(self.run_monitor("-c", "{ end: true, text: \"a b\" }", "mine"), (0, (
            'TIME [mine()] value_ 1.5 count=1 interval=5.0 key="None" text="a b"\n'
            "TIME INFO [monitor:mine()] [mine:N] a line\n"
            "TIME INFO [monitor:mine()] [scalyr_monitor:N] Monitor has finished\n"), ""))

    def test_options(self):
        agent = self.write("agent.json", "{ api_key: \"secret\" // relaxed\n}")
        os.replace(os.path.join(self.folder, "mine.py"), self.write("elsewhere/mine.py", ""))
        code, output, errors = self.run_monitor(
            "--monitor-python-path", os.pathsep.join(["/nowhere", "elsewhere"]),
            "--monitor-config", "{id: \"foo\", end: true}", "--agent-config", agent,
            "--monitor-sample-interval", "0.5", "--debug-level", "1", "mine")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output.splitlines()[:2], [
            "TIME DEBUG [monitor:mine(foo)] [scalyr_monitor:N] Starting monitor",
            'TIME [mine(foo)] value_ 1.5 count=1 interval=0.5 key="secret" text=""'])

    def test_refusals(self):
        usage = "Usage: python3 -m scalyr_agent.run_monitor [options] MODULE\n\n"
        for arguments, want in (
                (["-c", "{low: 4}", "mine"],
                 'Invalid monitor configuration: the field "low" is 4; its maximum is 3\n'),
                (["-c", "{low: }", "mine"],
                 "Invalid JSON in the configuration: a value cannot begin with } (line 1, position 6)\n"),
                (["-c", "[1]", "mine"],
                 "Invalid JSON in the configuration: an object is needed, as in { gauss_mean: 0.5 }\n"),
                (["-c", "{refuse: \"unsupported\"}", "mine"], "not on this machine\n"),
                (["-c", "{refuse: \"disabled\"}", "mine"], "the monitor is disabled: it says so itself\n"),
                (["-a", "missing.json", "mine"], "[Errno 2] No such file or directory: 'missing.json'\n"),
                (["-d", "6", "mine"], "the debug level is 6, not 0 to 5\n"),
                ([], usage + "one module is needed, not 0\n"),
                (["mine", "yours"], usage + "one module is needed, not 2\n")):
            self.assertEqual((arguments, self.run_monitor(*arguments)), (arguments, (1, "", want)))
        for arguments, want in (
                (["-c", "{refuse: \"exception\"}", "mine"], "ValueError: bad"),
                (["missing"], "No module named 'missing'")):
            code, output, errors = self.run_monitor(*arguments)
            self.assertEqual((code, output), (1, ""))
            self.assertIn(want, errors.splitlines()[-1])

    def test_test_monitor(self):
        process = self.start("-c", "{gauss_mean: 0.5}", "-s", "3600", "scalyr_agent.builtin_monitors.test_monitor")
        lines = [text(process.stdout.readline()) for _ in range(2)]
        if support.WINE:
            process.kill()
        else:
            process.send_signal(signal.CTRL_BREAK_EVENT if support.WINDOWS else signal.SIGINT)
        rest = text(process.communicate(timeout=support.PATIENCE)[0])
        for line, name in zip(lines, ("uniform", "gauss")):
            self.assertRegex(line, r"^\S+ \S+Z \[test_monitor\(\)\] %s -?\d+\.\d+(e-\d+)? count=1\n$" % name)
        if support.WINE:
            return
        # Its thread says so too, if it is quick enough.
        self.assertEqual(rest.splitlines()[0], "Stopping the monitor")
        self.assertEqual(process.returncode, 0)

    @unittest.skipIf(support.WINDOWS, "Windows has no fork")
    def test_forks(self):
        self.write("mine.py", """\
import os, signal, time
from scalyr_agent import ScalyrMonitor

class Mine(ScalyrMonitor):
    def gather_sample(self):
        child = os.fork()
        if child == 0:
            time.sleep(3600)
        os.kill(child, signal.SIGTERM)
        self._logger.emit_value("signal", os.waitpid(child, 0)[1])
        self._run_state.stop()
""")
        code, output, errors = self.run_monitor("mine")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output, (
            "TIME [mine()] signal 15\n"
            "TIME INFO [monitor:mine()] [scalyr_monitor:N] Monitor has finished\n"))

    def test_signal_in_another_thread(self):
        self.write("mine.py", """\
from scalyr_agent import ScalyrMonitor

class Mine(ScalyrMonitor):
    def gather_sample(self):
""" + support.SIGNALS_ITSELF)
        code, output, errors = self.run_monitor("-s", "3600", "mine")
        self.assertEqual((code, errors, output.splitlines()[0]), (0, "", "Stopping the monitor"))

    def test_help(self):
        code, output, errors = self.run_monitor("-h")
        self.assertEqual((code, errors), (0, ""))
        for option in ("-p DIRS, --monitor-python-path=DIRS", "-c OBJECT, --monitor-config=OBJECT",
                       "-a FILE, --agent-config=FILE", "-d LEVEL, --debug-level=LEVEL",
                       "-s SECONDS, --monitor-sample-interval=SECONDS"):
            self.assertIn(option, output)


if __name__ == "__main__":
    unittest.main()
