import io
import logging
import re
import unittest

import support
from scalyr_agent import AgentLogger, ScalyrMonitor, getLogger, scalyr_logging
from scalyr_agent.scalyr_logging import UnsupportedValueType

# A name, and the name that is reported.
NAMES = [
    ("abc", "abc"), ("a.b-c", "a.b-c"), ("_x", "_x"), ("Value", "Value"), ("serverHost", "serverHost"),
    ("aé", "aé"), ("value_", "value_"),
    ("9x", "sa_9x"), ("-x", "sa_-x"), ("%x", "sa__x"), ("é", "sa_é"), (".x", "sa_.x"), ("1.3.6", "sa_1.3.6"),
    (" x", "sa__x"), ("", "sa_"), ("a b", "a_b"), ("x%y", "x_y"), ("a:b", "a_b"), ("a/b", "a_b"),
    ("a\n", "a\n"), ("a\nb", "a_b"), ("a b\n", "a_b_"), ("value\n", "value\n"),
    ("logfile", "logfile_"), ("monitor", "monitor_"), ("metric", "metric_"), ("value", "value_"),
    ("instance", "instance_"), ("severity", "severity_"),
]


class LoggingCase(support.Case):
    """A monitor whose metric log is open."""

    counter = 0

    def setUp(self):
        super().setUp()
        # Loggers live for ever: another one for each test.
        LoggingCase.counter += 1
        self.monitor = self.make("logging.test_%d" % LoggingCase.counter)
        self.logger = self.monitor._logger

    def make(self, module, **config):
        monitor = ScalyrMonitor(dict(config, module=module, id="x"), getLogger(module + "(x)"))
        monitor.open_metric_log()
        self.addCleanup(monitor.close_metric_log)
        return monitor


class EmitValueTest(LoggingCase):
    def test_names(self):
        for name, want in NAMES:
            self.output.metrics.clear()
            self.logger.emit_value(name, 1, extra_fields={name: 2})
            self.assertEqual(self.output.metrics, [(want, 1, {want: 2}, None, None)])
            self.assertEqual(AgentLogger.force_valid_metric_or_field_name(name), want)

    def test_bad_names_are_told_once(self):
        for name in ("9x", "8x", "value", "fine"):
            self.logger.emit_value(name, 1, extra_fields={name: 1})
        rest = ("a letter or underscore, then letters, digits, dots, dashes and underscores are allowed; the first "
                "such name of the day is told")
        self.assertEqual(self.output.logs, [
            ("WARNING", "client/badMetricName", "the metric name '9x' is written sa_9x: " + rest),
            ("WARNING", "client/badFieldName", "the field name '9x' is written sa_9x: " + rest)])

    def test_values(self):
        class Float(float):
            pass
        values = [1, -1.5, True, "text", "", 10 ** 30, float("inf"), Float(2)]
        for value in values:
            self.logger.emit_value("m", value, {"f": value})
        self.assertEqual(
            self.output.metrics, [("m", value, {"f": value}, None, None) for value in values])
        self.assertEqual(self.monitor.reported_lines(), len(values))

    def test_bad_values(self):
        for arguments, message in (
                (("a", None), "the value of 'a' is a NoneType: a str, bool, int or float is needed"),
                (("a", b"x"), "the value of 'a' is a bytes: a str, bool, int or float is needed"),
                (("a", [1]), "the value of 'a' is a list: a str, bool, int or float is needed"),
                (("a", {}), "the value of 'a' is a dict: a str, bool, int or float is needed"),
                ((b"a", 1), "the metric name b'a' is a bytes: a str is needed"),
                ((None, 1), "the metric name None is a NoneType: a str is needed"),
                (("a", 1, {1: 2}), "the field name 1 is a int: a str is needed"),
                (("a", 1, {"b": None}), "the field 'b' is a NoneType: a str, bool, int or float is needed")):
            with self.assertRaises(UnsupportedValueType) as caught:
                self.logger.emit_value(*arguments)
            self.assertEqual(str(caught.exception), message)
        self.assertEqual(self.output.metrics, [])

    def test_keywords(self):
        other = self.make("logging.other")
        self.logger.emit_value("a", 1, monitor_id_override="pod:1", timestamp=1400000000123)
        self.logger.emit_value("b", 2, monitor=other)
        getLogger("logging.module").emit_value("c", 3, monitor=other)
        self.assertEqual(self.output.metrics, [
            ("a", 1, {}, "pod:1", 1400000000123), ("b", 2, {}, None, None), ("c", 3, {}, None, None)])
        self.assertEqual((self.monitor.reported_lines(), other.reported_lines()), (1, 2))

    def test_blacklist(self):
        monitor = self.make("logging.blacklist", metric_name_blacklist=["sa_9x", "b"])
        for name in ("9x", "b", "b", "c"):
            monitor._logger.emit_value(name, 1)
        self.assertEqual([metric[0] for metric in self.output.metrics], ["c"])
        self.assertEqual([log for log in self.output.logs if log[0] == "INFO"], [
            ("INFO", None, "the metric %s is dropped, as metric_name_blacklist says" % name)
            for name in ("sa_9x", "b")])

    def test_log_not_open(self):
        self.monitor.close_metric_log()
        for emit in (lambda: self.logger.emit_value("a", 1), lambda: self.logger.emit_values({"a": 1}),
                     lambda: self.logger.info("x", emit_to_metric_log=True),
                     lambda: getLogger("logging.unbound").emit_value("a", 1)):
            with self.assertRaises(Exception) as caught:
                emit()
            self.assertIn("the metric log is not open: logging.", str(caught.exception))

    def test_emit_values(self):
        self.logger.emit_values({"a": 1, "b": 1.5, "c": True, "d": 'x "y"'})
        self.logger.report_values({"a": False}, monitor=self.monitor)
        self.assertEqual(
            self.output.lines, [('a=1 b=1.5 c=true d=x \\"y\\"', None, None), ("a=false", None, None)])
        with self.assertRaises(UnsupportedValueType):
            self.logger.emit_values({"a": None})


class LogTest(LoggingCase):
    def test_levels(self):
        for method in ("debug", "info", "warn", "warning", "error", "critical"):
            getattr(self.logger, method)("say %s", method, error_code="code/" + method)
        self.logger.log(logging.INFO, "log")
        self.assertEqual(self.output.logs, [
            ("INFO", "code/info", "say info"), ("WARNING", "code/warn", "say warn"),
            ("WARNING", "code/warning", "say warning"), ("ERROR", "code/error", "say error"),
            ("CRITICAL", "code/critical", "say critical"), ("INFO", None, "log")])
        self.assertEqual(self.monitor.errors(), 2)

    def test_debug_levels(self):
        self.addCleanup(scalyr_logging.set_debug_level, 0)
        for level, want in ((0, 0), (1, 1), (2, 2), (5, 5)):
            self.output.logs.clear()
            scalyr_logging.set_debug_level(level)
            for wanted in range(1, 6):
                self.logger.log(getattr(scalyr_logging, "DEBUG_LEVEL_%d" % wanted), "x")
            self.assertEqual(len(self.output.logs), want)

    def test_limit(self):
        for now, key in ((100, "a"), (105, "a"), (105, "b"), (109.9, "a"), (110, "a")):
            self.logger.info("%s %s", key, now, limit_once_per_x_secs=10, limit_key=key, current_time=now)
        self.assertEqual([log[2] for log in self.output.logs], ["a 100", "b 105", "a 110"])
        for number in range(2000):
            self.logger.info("x", limit_once_per_x_secs=10, limit_key=number, current_time=200 + number)
        self.assertEqual(len(self.output.logs), 2003)
        self.assertLess(len(self.logger._limits), 1001)
        for keywords in ({"limit_key": "x"}, {"limit_once_per_x_secs": 3}):
            with self.assertRaises(Exception) as caught:
                self.logger.info("x", **keywords)
            self.assertEqual(str(caught.exception), "limit_once_per_x_secs and limit_key go together")

    def test_metric_log(self):
        other = self.make("logging.other")
        self.logger.info("a %d", 1, emit_to_metric_log=True, monitor_id_override="o", timestamp=5)
        getLogger("logging.module").error("b", metric_log_for_monitor=other)
        self.assertEqual(self.output.lines, [("a 1", "o", 5), ("b", None, None)])
        self.assertEqual(self.output.logs, [])
        self.assertEqual((self.monitor.reported_lines(), other.reported_lines(), other.errors()), (1, 1, 0))

    def test_error_for_monitor(self):
        getLogger("logging.module").info("x", error_for_monitor=self.monitor, force_stdout=True, force_stderr=True)
        self.assertEqual(self.monitor.errors(), 1)

    def test_caller(self):
        records = []
        self.output.log = records.append
        self.logger.warn("here", limit_once_per_x_secs=1, limit_key="k")
        try:
            raise ValueError("bad")
        except ValueError:
            self.logger.exception("there")
        getLogger("logging.module").emit_value("9", 1, monitor=self.monitor)
        self.assertEqual(
            [(record.filename, record.funcName) for record in records], [("test_logging.py", "test_caller")] * 3)
        self.assertEqual(str(records[1].exc_info[1]), "bad")

    def test_handlers_of_its_own(self):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        self.logger.addHandler(handler)
        self.logger.info("heard")
        self.logger.debug("not heard")
        self.logger.removeHandler(handler)
        self.assertEqual((stream.getvalue(), len(self.output.logs)), ("heard\n", 1))

    def test_components(self):
        for name, component in (
                ("random_coin_monitor(foo)", "monitor:random_coin_monitor(foo)"), ("a.b.c()", "monitor:c()"),
                ("a.b(c.d)", "monitor:b(c.d)"), ("my.mod", "monitor:mod"), ("scalyr_agent", "core"),
                ("scalyr_agent.util", "core"), ("scalyr_agents.x", "monitor:x"),
                ("scalyr_agent.builtin_monitors.x()", "monitor:x()"), ("__main__", "monitor:__main__")):
            self.assertEqual((name, getLogger(name).component), (name, component))
            self.assertIs(getLogger(name), getLogger(name))

    def test_old_plugins_set_up_logging(self):
        scalyr_logging.set_log_destination(use_stdout=True)
        scalyr_logging.set_log_level(scalyr_logging.DEBUG_LEVEL_5)
        scalyr_logging.close_handlers()
        handler = scalyr_logging.MetricLogHandler.get_handler_for_path("x.log", max_bytes=1)
        handler.setFormatter(scalyr_logging.BaseFormatter("", "x"))
        handler.addFilter(None)
        self.logger.info("x")
        self.assertEqual(len(self.output.logs), 1)


class TextTest(LoggingCase):
    def setUp(self):
        super().setUp()
        self.stream = io.StringIO()
        scalyr_logging.set_output(scalyr_logging.TextOutput(self.stream))

    def test_metrics(self):
        monitor = ScalyrMonitor({"module": "a.text", "id": ""}, getLogger("a.text()"))
        monitor.open_metric_log()
        monitor._logger.emit_value("u", 0.25, {"b": 'x "y"\n', "a": True, "c": "é"}, timestamp=1400000000123)
        monitor._logger.emit_value("n", float("nan"), monitor_id_override="ns:foo", timestamp=0)
        monitor._logger.info("raw", emit_to_metric_log=True, timestamp=0)
        monitor.close_metric_log()
        self.assertEqual(self.stream.getvalue(), (
            '2014-05-13 16:53:20.123Z [text()] u 0.25 a=true b="x \\"y\\"\\n" c="é"\n'
            "1970-01-01 00:00:00.000Z [text(ns:foo)] n NaN\n"
            "1970-01-01 00:00:00.000Z [text()] raw\n"))

    def test_narrow_terminal(self):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
        scalyr_logging.set_output(scalyr_logging.TextOutput(stream))
        self.logger.emit_value("n", "é", monitor_id_override="", timestamp=0)
        self.assertRegex(
            stream.buffer.getvalue(), rb'\A1970-01-01 00:00:00.000Z \[test_\d+\(\)\] n "\\xe9"\n\Z')

    def test_log(self):
        self.logger.warning("line", error_code="a/b")
        try:
            raise ValueError("bad")
        except ValueError:
            self.logger.exception("failed")
        got = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", "TIME", self.stream.getvalue())
        got = re.sub(r"test_\d+\(x\)", "NAME", re.sub(r":\d+\]|line \d+|\".*\.py\"", "N", got))
        self.assertEqual(got, (
            'TIME WARNING [monitor:NAME] [test_loggingN [error="a/b"] line\n'
            "TIME ERROR [monitor:NAME] [test_loggingN failed :stack_trace:\n"
            "  Traceback (most recent call last):\n"
            "    File N, N, in test_log\n"
            '      raise ValueError("bad")\n'
            "  ValueError: bad\n"))


if __name__ == "__main__":
    unittest.main()
