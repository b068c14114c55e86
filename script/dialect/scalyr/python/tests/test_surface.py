"""The names that plugins import besides what the vendor documents."""

import datetime
import os
import socket
import sys
import unittest

import support
from scalyr_agent import date_parsing_utils, util
from scalyr_agent._global_config import GlobalConfig
from test_host import HEAD, HostCase, bye

# As text, in UTC to the microsecond, in nanoseconds since 1970.
TIMES = [
    ("2015-08-03T09:12:43.143757463Z", (2015, 8, 3, 9, 12, 43, 143757), 1438593163143757463),
    ("2015-08-03T09:12:43Z", (2015, 8, 3, 9, 12, 43), 1438593163000000000),
    ("2015-08-03T09:12:43", (2015, 8, 3, 9, 12, 43), 1438593163000000000),
    ("2015-08-03T09:12:43.1", (2015, 8, 3, 9, 12, 43, 100000), 1438593163100000000),
    ("2015-08-03T09:12:43+02:00", (2015, 8, 3, 7, 12, 43), 1438585963000000000),
    ("2015-08-03T09:12:43.5-02:30", (2015, 8, 3, 11, 42, 43, 500000), 1438602163500000000),
    ("2015-08-03T09:12:43.123456789012Z", (2015, 8, 3, 9, 12, 43, 123456), 1438593163123456789),
    ("2015-08-03 09:12:43", None, None), ("bad", None, None), ("", None, None), ("2015-08-03", None, None),
    ("2015-08-03T09:12:60Z", None, None), ("2015-13-03T09:12:00Z", None, None),
]


class DateTest(unittest.TestCase):
    def test_times(self):
        for text, moment, nanoseconds in TIMES:
            want = None if moment is None else datetime.datetime(*moment)
            self.assertEqual(date_parsing_utils.rfc3339_to_datetime(text), want, text)
            self.assertEqual(date_parsing_utils.rfc3339_to_nanoseconds_since_epoch(text), nanoseconds, text)


class ThirdPartyTest(support.Case):
    def setUp(self):
        super().setUp()
        sys.path.append(self.folder)
        self.addCleanup(sys.path.remove, self.folder)
        self.write("some_library/__init__.py", "from some_library.part import answer\n")
        self.write("some_library/part.py", "answer = 42\n")
        self.write("broken_library.py", "import what_it_lacks\n")

    def test_alias(self):
        from scalyr_agent.third_party import some_library
        import scalyr_agent.third_party.some_library.part as part
        import some_library as real
        self.assertIs(some_library, real)
        self.assertIs(part, sys.modules["some_library.part"])
        self.assertEqual((real.__name__, real.__spec__.name, part.answer), ("some_library", "some_library", 42))

    def test_missing(self):
        for statement, name, text in (
                ("from scalyr_agent.third_party import no_library", "no_library",
                 "No module named 'no_library', which scalyr_agent.third_party.no_library stands for"),
                ("import scalyr_agent.third_party.some_library.none", "some_library.none",
                 "No module named 'some_library.none', which scalyr_agent.third_party.some_library.none stands for"),
                ("import scalyr_agent.third_party.broken_library", "what_it_lacks", "No module named 'what_it_lacks'"),
                ("import scalyr_agent.third_party.tcollector", "scalyr_agent.third_party.tcollector",
                 "No module named 'scalyr_agent.third_party.tcollector'")):
            with self.assertRaises(ImportError) as caught:
                exec(statement, {})
            self.assertEqual((caught.exception.name, str(caught.exception)), (name, text))


class GlobalConfigTest(support.Case):
    def test_defaults(self):
        self.environment(SCALYR_DEBUG_LEVEL="3", SCALYR_SCALYR_SERVER="https://eu", SCALYR_MAX_LINE_SIZE="much")
        config = GlobalConfig({"compression_level": 9})
        self.assertEqual(config.server_attributes, {"serverHost": socket.gethostname()})
        self.assertEqual((config.debug_level, config.scalyr_server, config.compression_level), (3, "https://eu", 9))
        self.assertEqual((config.max_line_size, config.allow_http_monitors), (49900, True))
        self.assertEqual((config.k8s_include_namespaces, list(config.metric_name_blacklist)), (["*"], []))
        config = GlobalConfig({"server_attributes": {"serverHost": "mine", "tier": "web"}})
        self.assertEqual(config.server_attributes, {"serverHost": "mine", "tier": "web"})

    def test_short_host(self):
        config = GlobalConfig({"strip_domain_from_default_server_host": True})
        self.assertEqual(config.server_attributes["serverHost"], socket.gethostname().partition(".")[0])


class SurfaceTest(HostCase):
    def test_http(self):
        """allow_http_monitors: false makes https of what may not be http."""
        for allowed, want in ((True, "http://a/ b http://c/"), (False, "https://a/ https://b http://c/")):
            messages = self.run_host("""\
    def gather_sample(self):
        self._logger.emit_value("urls", " ".join(self._config.get(name) for name in ("url", "other", "free")))
        self._run_state.stop()
""", head=HEAD.replace("class", """\
for name, allow in (("url", False), ("other", False), ("free", True)):
    define_config_option("mine", name, "", allow_http=allow)

class"""), agent_package=self.agent_package, config={"url": "http://a/", "other": "b", "free": "http://c/"},
                agent_config={"api_key": "k", "allow_http_monitors": allowed, "monitors": [{"module": "nowhere"}]})
            records = [m["records"] for m in messages if m["t"] == "batch"]
            self.assertEqual(records, [[["urls", want, None, None, None]]], self.stderr)
            self.assertEqual(messages[-1], bye("finished"))

    def test_names(self):
        messages = self.run_host("    pass\n", mode="check", agent_package=self.agent_package, head="""\
import six
from six.moves import UserDict, UserList, UserString, getcwd, getoutput, urllib_request, urllib_response
from scalyr_agent.configuration import BadConfiguration
from scalyr_agent.date_parsing_utils import rfc3339_to_datetime
from scalyr_agent.util import RateLimiter
assert six.__version__ and six.Iterator and six.iterlists and six.assertCountEqual and six.create_unbound_method
assert str(BadConfiguration("m", "f", "c")) == 'm [[badField="f" errorCode="c"]]'
""" + HEAD)
        self.assertEqual(messages[-1], bye("checked"), messages)


@unittest.skipUnless(
    os.environ.get("SCALYR_AGENT"), "SCALYR_AGENT names no folder that holds the agent's own package")
class PeerSurfaceTest(SurfaceTest):
    agent_package = os.environ.get("SCALYR_AGENT")


class RateLimiterTest(unittest.TestCase):
    def test_bucket(self):
        limiter = util.RateLimiter(100, 10, current_time=0)
        self.assertEqual(
            [limiter.charge_if_available(60, current_time=now) for now in (0, 1, 2, 3, 100, 100)],
            [True, False, True, False, True, False])


if __name__ == "__main__":
    unittest.main()
