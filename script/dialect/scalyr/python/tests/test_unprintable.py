"""Nothing that cannot be printed costs more than its own text."""

import os
import unittest

from test_host import HEAD, HostCase, bye
import scriptbridge_text

# Each cannot be printed in a way of its own.
UNPRINTABLE = HEAD.replace("class", """\
class Raises(Exception):
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

class Ends(Exception):
    def __str__(self):
        sys.exit(1)
    __repr__ = __str__

class NoText(Exception):
    def __str__(self):
        return 5
    __repr__ = __str__

class Recurses(Exception):
    def __str__(self):
        return str(self)
    __repr__ = __str__

class Missing(ImportError, Raises):
    __str__ = Raises.__str__

class Wrong(BadMonitorConfiguration, Raises):
    def __init__(self):
        self.message, self.field = Raises(), Raises()

class Elsewhere(UnsupportedSystem, Raises):
    def __init__(self):
        pass

UNPRINTABLE = (Raises, Ends, NoText, Recurses)

class""")

TEXTS = ["Raises: <its text raised ValueError>", "Ends: <its text raised SystemExit>",
         "NoText: <its text raised TypeError>", "Recurses: <its text raised RecursionError>"]


class TextTest(unittest.TestCase):
    def test_one_line(self):
        self.assertEqual(scriptbridge_text.one_line(ValueError("a\n b")), "ValueError: a b")
        self.assertEqual(scriptbridge_text.one_line(KeyboardInterrupt()), "KeyboardInterrupt")


class UnprintableTest(HostCase):
    def run_unprintable(self, body, head=UNPRINTABLE, **fields):
        return self.run_host(body, head=head, agent_package=self.agent_package, **fields)

    def test_gather(self):
        messages = self.run_unprintable("""\
    done = 0
    def gather_sample(self):
        self._logger.emit_value("n", self.done)
        self.done += 1
        if self.done == 4:
            self._run_state.stop()
        raise UNPRINTABLE[self.done - 1]()
""")
        batches = [message for message in messages if message["t"] == "batch"]
        self.assertEqual([message["error"] for message in batches], TEXTS)
        self.assertEqual([message["records"][0][:2] for message in batches], [["n", n] for n in range(4)])
        for message in batches:
            self.assertIn("in gather_sample\n", message["detail"])
        self.assertEqual(messages[-1], bye("finished"))

    def test_run(self):
        messages = self.run_unprintable("    def run(self):\n        raise Raises()\n")
        self.assertEqual(messages[-1], bye("failed", "run() raised " + TEXTS[0]))

    def test_refused(self):
        for statement, kind, field, text in (
                ("raise Raises()", "initialize", None, TEXTS[0]),
                ("raise Ends()", "initialize", None, TEXTS[1]),
                ("raise NoText()", "initialize", None, TEXTS[2]),
                ("raise Missing()", "module", None, "Missing: <its text raised ValueError>"),
                ("raise Wrong()", "config", "<its text raised ValueError>", "<its text raised ValueError>"),
                ("raise BadMonitorConfiguration('x', 5)", "config", "5", "x"),
                ("raise Elsewhere()", "unsupported", None, "<its text raised ValueError>")):
            messages = self.run_unprintable("    def _initialize(self):\n        %s\n" % statement)
            self.assertEqual(
                [(m["kind"], m["field"], m["message"]) for m in messages if m["t"] == "refused"],
                [(kind, field, text)], statement)
            self.assertEqual(messages[-1], bye("refused", text))
        messages = self.run_unprintable("    pass\n", head=UNPRINTABLE.replace("UNPRINTABLE =", "raise Raises() #"))
        self.assertEqual(messages[0]["message"], TEXTS[0])
        messages = self.run_unprintable("    def open_metric_log(self):\n        raise Raises()\n")
        self.assertEqual(messages[0]["message"], "open_metric_log: " + TEXTS[0])

    def test_log(self):
        messages = self.run_unprintable("""\
    def gather_sample(self):
        import logging
        for logger in (self._logger, logging.getLogger("library")):
            for bad in UNPRINTABLE:
                logger.error(bad())
                logger.error("of %s", bad())
            try:
                raise Raises()
            except Raises as error:
                logger.exception(error)
        self._logger.error("code", error_code=Raises())
        self._logger.emit_value("n", 1)
        self._run_state.stop()
""")
        batches = [message for message in messages if message["t"] == "batch"]
        self.assertEqual([(message["error"], len(message["records"])) for message in batches], [("", 1)], self.stderr)
        logs = [message for message in messages if message["t"] == "log" and message["level"] == "ERROR"]
        self.assertEqual(len(logs), 19)
        each = [text.partition(": ")[2] for text in TEXTS]
        for i in (0, 9):
            told = [message["message"].partition("\n")[0] for message in logs[i:i + 9]]
            self.assertEqual(told[:8:2], each)
            self.assertEqual(told[1:8:2], ["of %%s (%s)" % text for text in (
                "ValueError: no text", "SystemExit: 1", "TypeError: __str__ returned non-string (type int)",
                told[7][7:-1])])
            self.assertEqual(told[8], each[0])
        self.assertEqual((logs[18]["message"], logs[18]["code"]), ("code", each[0]))

    def test_metric_log(self):
        messages = self.run_unprintable("""\
    def gather_sample(self):
        self._logger.info(Raises(), emit_to_metric_log=True)
        self._logger.emit_value("n", 1)
        self._run_state.stop()
""")
        batches = [message for message in messages if message["t"] == "batch"]
        self.assertEqual(
            [(m["error"], m["lines"], len(m["records"])) for m in batches],
            [("", [{"text": "<its text raised ValueError>", "id": None}], 1)])

    def test_stop(self):
        host = self.start("""\
    def gather_sample(self):
        self._logger.emit_value("n", 1)
    def stop(self, wait_on_join=True, join_timeout=5):
        raise Raises()
""", head=UNPRINTABLE, agent_package=self.agent_package)
        host.until(lambda message: message["t"] == "batch")
        host.terminate()
        messages = list(host.messages())
        self.assertIn("stop: " + TEXTS[0], [message.get("message") for message in messages])
        self.assertEqual(messages[-1], bye("stopped"))

    def test_definitions(self):
        messages = self.run_unprintable("""\
    def _initialize(self):
        self.log_config["attributes"] = {Raises(): "a", "b": "c"}
    def gather_sample(self):
        self._run_state.stop()
""", head=UNPRINTABLE.replace("UNPRINTABLE =", """\
define_metric(__name__, "bad", Raises(), extra_fields={"a": Odd(), "b": ""}, unit=Raises())
define_metric(__name__, "listed", "L", extra_fields=["a", 5])
define_metric(__name__, "single", "S", extra_fields=5)
UNPRINTABLE =""").replace("class Ends", """\
class Odd(object):
    # What keeps a declaration is keyed by its fields.
    def __str__(self):
        raise ValueError()
    def __repr__(self):
        return "odd"

class Ends"""))
        self.assertEqual(messages[-1], bye("finished"), self.stderr)
        bad = "<its text raised ValueError>"
        self.assertEqual(self.defines[0]["attributes"], {bad: "a", "b": "c"})
        self.assertEqual(
            [(m["name"], m["description"], m["unit"], m["extra_fields"]) for m in self.defines[0]["metrics"]],
            [("bad", bad, bad, {"a": bad, "b": ""}), ("listed", "L", None, {"a": "", "5": ""}),
             ("single", "S", None, {})])

    def test_values(self):
        """What cannot be reported is told by its type, whatever it is."""
        messages = self.run_unprintable("""\
    done = 0
    def gather_sample(self):
        self.done += 1
        if self.done == 4:
            self._run_state.stop()
        if self.done == 1:
            self._logger.emit_value("n", Raises())
        elif self.done == 2:
            self._logger.emit_value(Raises(), 1)
        elif self.done == 3:
            self._logger.emit_value("n", 1, extra_fields={"f": Raises()})
        else:
            self._logger.emit_value("n", 1, extra_fields={Raises(): 1})
""")
        errors = [message["error"].partition(":")[0] for message in messages if message["t"] == "batch"]
        # The agent itself prints what it complains of.
        self.assertEqual(errors, ["ValueError" if self.agent_package else "UnsupportedValueType"] * 4)


@unittest.skipUnless(
    os.environ.get("SCALYR_AGENT"), "SCALYR_AGENT names no folder that holds the agent's own package")
class PeerUnprintableTest(UnprintableTest):
    agent_package = os.environ.get("SCALYR_AGENT")


if __name__ == "__main__":
    unittest.main()
