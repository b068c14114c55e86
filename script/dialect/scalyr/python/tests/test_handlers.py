"""Handlers that a monitor adds by itself: they get their records, and the bridge's log what the agent's own would."""

import os
import socket
import sys
import time
import unittest

import support
from test_host import HEAD, HostCase, bye

MONITOR = HEAD.replace("class", """\
import logging
from scalyr_agent import scalyr_logging
from scalyr_agent.scalyr_logging import AutoFlushingRotatingFileHandler

def writes(logger, name, handler=logging.FileHandler, **fields):
    handler = handler(name)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    for key, value in fields.items():
        setattr(handler if key == "level" else logger, key, value)
    logger.addHandler(handler)
    return logger

class""")


class HandlersTest(HostCase):
    def run_handlers(self, body):
        """Runs body as a sample; returns the messages in the log, and what is in each file of the folder."""
        lines = "".join("        %s\n" % line for line in body.splitlines())
        body = "    def gather_sample(self):\n        os.chdir(%r)\n%s        self._run_state.stop()\n"
        messages = self.run_host(body % (self.folder, lines), head=MONITOR, agent_package=self.agent_package)
        self.assertEqual(messages[-1], bye("finished"), self.stderr)
        self.assertEqual([m["error"] for m in messages if m["t"] == "batch"], [""])
        self.batch = next(message for message in messages if message["t"] == "batch")
        told = [m["message"] for m in messages if m["t"] == "log" and m["message"] != "Monitor has finished"]
        files = {}
        for name in os.listdir(self.folder):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name)) as stream:
                    files[name] = stream.read()
        return told, files

    def test_logger_of_its_own(self):
        told, files = self.run_handlers("""\
quiet = writes(logging.getLogger("quiet"), "quiet.log", propagate=False)
quiet.setLevel(logging.INFO)
for number in range(1000):
    quiet.info("line %d", number)
quiet.getChild("below").error("of a child")
loud = writes(logging.getLogger("loud"), "loud.log")
loud.warning("heard twice")""")
        self.assertEqual(told, ["heard twice"])
        self.assertEqual(files, {
            "quiet.log": "".join("INFO line %d\n" % number for number in range(1000)) + "ERROR of a child\n",
            "loud.log": "WARNING heard twice\n"})

    def test_the_monitors_logger(self):
        told, files = self.run_handlers("""\
writes(self._logger, "all.log", AutoFlushingRotatingFileHandler)
writes(self._logger, "errors.log", level=logging.ERROR)
self._logger.info("a line")
self._logger.error("an %s", "error")
self._logger.emit_value("n", 1)
self._logger.propagate = False
self._logger.error("unheard")
self._logger.propagate = True""")
        self.assertEqual(told, ["a line", "an error"])
        self.assertEqual([record[:2] for record in self.batch["records"]], [["n", 1]])
        self.assertEqual(files["errors.log"], "ERROR an error\nERROR unheard\n")
        self.assertEqual(
            [line for line in files["all.log"].splitlines() if " n 1" not in line],
            ["INFO a line", "ERROR an error", "ERROR unheard", "INFO Monitor has finished"])

    def test_by_name(self):
        """A logger that logging gives is the one of that name that the agent gives, or above it."""
        told, files = self.run_handlers("""\
writes(logging.getLogger("some"), "some.log")
writes(logging.getLogger("some.module"), "module.log")
scalyr_logging.getLogger("some.module").info("one")
logging.getLogger("some.module").propagate = False
scalyr_logging.getLogger("some.module").info("two")""")
        self.assertEqual(told, ["one"])
        self.assertEqual(files, {"module.log": "INFO one\nINFO two\n", "some.log": "INFO one\n"})

    def test_root(self):
        told, files = self.run_handlers("""\
writes(logging.getLogger(), "root.log")
self._logger.info("a line")
logging.getLogger("library").error("an error")""")
        self.assertEqual(told, ["a line", "an error"])
        self.assertEqual(files, {
            "root.log": "INFO a line\nERROR an error\nINFO Monitor has finished\n"})


@unittest.skipUnless(
    os.environ.get("SCALYR_AGENT"), "SCALYR_AGENT names no folder that holds the agent's own package")
class PeerHandlersTest(HandlersTest):
    agent_package = os.environ.get("SCALYR_AGENT")

    @unittest.skipIf(sys.version_info < (3, 7), "the agent's own libraries need Python 3.7")
    def test_syslog_monitor(self):
        """What comes by syslog is in the monitor's message_log, and not in ours."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        path = os.path.join(self.folder, "syslog.log")
        host = support.HostProcess({
            "protocol": 1, "agent_package": self.agent_package,
            "module": "scalyr_agent.builtin_monitors.syslog_monitor",
            "config": {"protocols": "udp:%d" % port, "message_log": path, "log_flush_delay": 0},
            "agent_config": {"api_key": "none", "agent_log_path": self.folder, "agent_data_path": self.folder}})
        self.addCleanup(host.wait)
        self.addCleanup(host.kill)
        host.until(lambda message: message["t"] == "ready")
        deadline = time.monotonic() + support.PATIENCE
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            while not (os.path.exists(path) and os.path.getsize(path)):
                self.assertLess(time.monotonic(), deadline, "nothing is written")
                client.sendto(b"<13>Nov 20 15:04:58 host program: a message of its own", ("127.0.0.1", port))
        host.terminate()
        told = [message.get("message", "") for message in host.messages()]
        self.assertEqual([text for text in told if "of its own" in text], [])
        with open(path) as stream:
            self.assertIn("a message of its own", stream.read())


if __name__ == "__main__":
    unittest.main()
