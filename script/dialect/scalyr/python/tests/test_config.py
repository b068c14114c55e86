import unittest

import support
from scalyr_agent import BadMonitorConfiguration, MonitorConfig, define_config_option
from scalyr_agent.json_lib import (
    ArrayOfStrings, JsonArray, JsonObject, SpaceAndCommaSeparatedArrayOfStrings)

# A value, a type, and what get(convert_to=type) makes of it; of a refusal what it says.
CONVERSIONS = [
    ("1", int, 1),
    ("-7", int, -7),
    ("1.5", int, 'the field "f" is "1.5", which is not a whole number'),
    ("", int, 'the field "f" is "", which is not a whole number'),
    (1.5, int, 1),
    (-1.9, int, -1),
    (float("nan"), int, 'the field "f" is nan, which is not a whole number'),
    (True, int, 'the field "f" is true or false, and a whole number is needed'),
    (JsonArray(), int, 'the field "f" is a list, and a whole number is needed'),
    ("1.5", float, 1.5),
    ("x", float, 'the field "f" is "x", which is not a number'),
    (1, float, 1.0),
    (False, float, 'the field "f" is true or false, and a number is needed'),
    (1, str, "1"),
    (1.5, str, "1.5"),
    (True, str, "True"),
    (JsonArray("a", 1), str, "['a', 1]"),
    (JsonObject(a=1), str, "{'a': 1}"),
    ("true", bool, True),
    ("TRUE", bool, True),
    ("yes", bool, False),
    ("", bool, False),
    (True, bool, True),
    (1, bool, 'the field "f" is a whole number, and true or false is needed'),
    (0.0, bool, 'the field "f" is a number, and true or false is needed'),
    ("[1, 'a']", JsonArray,
     'the field "f" is no JSON, and a list is needed: a value cannot begin with \' (line 1, position 4)'),
    ('[1, "a"]', JsonArray, [1, "a"]),
    ("", JsonArray, []),
    ("{a:1}", JsonArray, 'the field "f" is an object, and a list is needed'),
    (["a"], JsonArray, ["a"]),
    ("{a:1}", JsonObject, {"a": 1}),
    ("", JsonObject, {}),
    ({"a": 1}, JsonObject, {"a": 1}),
    (1, JsonObject, 'the field "f" is a whole number, and an object is needed'),
    ("a, b", ArrayOfStrings, ["a", "b"]),
    ("a b,c", ArrayOfStrings, ["a b", "c"]),
    ("['a', \"b\", c d]", ArrayOfStrings, ["a", "b", "c d"]),
    ("", ArrayOfStrings, []),
    ([], ArrayOfStrings, []),
    (JsonArray("a", "b"), ArrayOfStrings, ["a", "b"]),
    (JsonArray("a", 1), ArrayOfStrings, 'the field "f" has the element 1, which is a whole number: all must be texts'),
    (7, ArrayOfStrings, 'the field "f" is a whole number, and a list of texts is needed'),
    ("a b,\tc", SpaceAndCommaSeparatedArrayOfStrings, ["a", "b", "c"]),
    (["a"], SpaceAndCommaSeparatedArrayOfStrings, ["a"]),
    (JsonArray(1), list, [1]),
    ("1", list, 'the field "f" is a text, and a list is needed'),
    (("a",), list, 'the field "f" is a tuple, and a list is needed'),
    (None, int, None),
    (5, None, 5),
]


class GetTest(support.Case):
    def test_conversions(self):
        for value, kind, want in CONVERSIONS:
            with self.subTest("%r to %s" % (value, kind)):
                try:
                    got = MonitorConfig({"f": value}).get("f", convert_to=kind)
                except BadMonitorConfiguration as error:
                    self.assertEqual((error.field, str(error)), ("f", error.message))
                    got = error.message
                self.assertEqual((type(got), got), (type(got), want))
                if not isinstance(want, str) and kind not in (None, SpaceAndCommaSeparatedArrayOfStrings) \
                        and want is not None:
                    self.assertIs(type(got), kind)

    def test_missing(self):
        config = MonitorConfig({"there": 5, "null": None})
        self.assertIsNone(config.get("missing"))
        self.assertEqual(config.get("missing", default="3", convert_to=int), 3)
        self.assertIs(config.get("missing", default=1, convert_to=bool), True)
        # Required means required, default or not; null is there.
        for arguments in ({}, {"default": 3}):
            with self.assertRaises(BadMonitorConfiguration) as caught:
                config.get("missing", required_field=True, **arguments)
            error = caught.exception
            self.assertEqual((error.message, error.field), ('the required field "missing" is missing', "missing"))
        self.assertIsNone(config.get("null", required_field=True, default=4, max_value=1))

    def test_bounds(self):
        config = MonitorConfig({"n": 5, "s": "7"})
        self.assertEqual(config.get("n", min_value=5, max_value=5), 5)
        for arguments, message in (
                ({"max_value": 4}, 'the field "n" is 5; its maximum is 4'),
                ({"max_value": 0}, 'the field "n" is 5; its maximum is 0'),
                ({"min_value": 6.5}, 'the field "n" is 5; its minimum is 6.5')):
            with self.assertRaises(BadMonitorConfiguration) as caught:
                config.get("n", **arguments)
            self.assertEqual(caught.exception.message, message)
        with self.assertRaises(BadMonitorConfiguration):
            config.get("s", convert_to=int, max_value=6)
        with self.assertRaises(BadMonitorConfiguration):
            config.get("missing", default=9, max_value=6)
        with self.assertRaises(TypeError):
            config.get("s", max_value=6)

    def test_environment(self):
        self.environment(SCALYR_UPPER="7", scalyr_lower="low", SCALYR_BOTH="no")
        config = MonitorConfig({"both": 1, "null": None})
        self.assertEqual(config.get("upper"), "7")
        self.assertEqual(config.get("upper", convert_to=int, required_field=True, default=3), 7)
        self.assertEqual(config.get("lower", convert_to=ArrayOfStrings), ["low"])
        with self.assertRaises(BadMonitorConfiguration):
            config.get("upper", convert_to=int, max_value=6)
        self.assertEqual(self.output.logs, [])

    def test_configuration_beats_environment(self):
        self.environment(SCALYR_FIELD_ONE="secret", SCALYR_FIELD_TWO="2")
        config = MonitorConfig({"field_one": "mine", "field_two": 2})
        self.assertEqual([config.get("field_one") for _ in range(2)] + [config.get("field_two")], ["mine", "mine", 2])
        self.assertEqual(self.output.logs, [(
            "WARNING", None, 'the field "field_one" is in the configuration and, with another value, in the '
            "environment: the configuration holds")])

    def test_mapping(self):
        config = MonitorConfig(JsonObject(a=1, b=None))
        self.assertEqual(
            ("a" in config, "c" in config, len(config), list(config), config["a"]), (True, False, 2, ["a", "b"], 1))
        self.assertEqual((config.keys(), config.values()), (["a", "b"], [1, None]))
        self.assertEqual((config.items(), list(config.iteritems())), ([("a", 1), ("b", None)],) * 2)
        self.assertEqual(list(config.iterkeys()) + list(config.itervalues()), ["a", "b", 1, None])
        self.assertEqual(dict(config), {"a": 1, "b": None})
        self.assertEqual((config == config.copy(), config != MonitorConfig({"a": 1})), (True, True))
        self.assertEqual(len(MonitorConfig()), 0)
        self.assertEqual(repr(config), "MonitorConfig(a, b)")
        with self.assertRaises(KeyError):
            config["missing"]
        with self.assertRaises(TypeError):
            config["a"] = 2


class DeclaredTest(support.Case):
    @classmethod
    def setUpClass(cls):
        define = define_config_option
        define("declared", "module", "…", required_option=True, convert_to=str)
        define("declared", "mean", "…", convert_to=float, default=0.5, min_value=0, max_value=10)
        define("declared", "optional", "…", convert_to=int)
        define("declared", "aware", "…", convert_to=int, env_aware=True, env_name="DECLARED_AWARE")
        define("declared", "unaware", "…", convert_to=int)
        define("declared", "named", "…", convert_to=int, env_name="DECLARED_NAMED", max_value=9)
        define("declared", "low", "…", env_name="declared_low")
        define("declared", "empty_name", "…", env_name="")

    def config(self, **values):
        return MonitorConfig(dict({"module": "declared"}, **values), monitor_module="declared")

    def test_stored_converted(self):
        self.assertEqual(self.config(), {"module": "declared", "mean": 0.5})
        self.assertEqual(
            self.config(mean="3", optional="12", other="x"),
            {"module": "declared", "mean": 3.0, "optional": 12, "other": "x"})
        self.assertEqual(self.config(mean=None), {"module": "declared", "mean": None})
        self.assertEqual(MonitorConfig({"optional": "12"}, monitor_module="another"), {"optional": "12"})

    def test_environment(self):
        self.environment(DECLARED_AWARE="3", SCALYR_UNAWARE="4")
        config = self.config()
        self.assertEqual(config, {"module": "declared", "mean": 0.5, "aware": 3})
        self.assertEqual((config.get("aware"), config.get("unaware", convert_to=int)), (3, 4))
        self.assertEqual(self.config().copy().get("aware"), 3)

    def test_named_environment(self):
        """A name for the variable is enough."""
        self.environment(DECLARED_NAMED="3", DECLARED_LOW="text", SCALYR_EMPTY_NAME="4", SCALYR_NAMED="8")
        config = self.config()
        self.assertEqual(config, {"module": "declared", "mean": 0.5, "named": 3, "low": "text"})
        self.assertEqual((config["named"], config["low"], config.get("empty_name")), (3, "text", "4"))
        self.assertEqual(self.config(named=5)["named"], 5)
        self.environment(DECLARED_NAMED="10")
        with self.assertRaises(BadMonitorConfiguration) as caught:
            self.config()
        self.assertEqual(caught.exception.message, 'the field "named" is 10; its maximum is 9')

    def test_refused(self):
        for values, message in (
                ({"mean": 18.5}, 'the field "mean" is 18.5; its maximum is 10'),
                ({"mean": -1}, 'the field "mean" is -1.0; its minimum is 0'),
                ({"optional": "x"}, 'the field "optional" is "x", which is not a whole number'),
                ({"optional": True}, 'the field "optional" is true or false, and a whole number is needed')):
            with self.assertRaises(BadMonitorConfiguration) as caught:
                self.config(**values)
            self.assertEqual(caught.exception.message, message)
        with self.assertRaises(BadMonitorConfiguration) as caught:
            MonitorConfig({}, monitor_module="declared")
        self.assertEqual(caught.exception.field, "module")


if __name__ == "__main__":
    unittest.main()
