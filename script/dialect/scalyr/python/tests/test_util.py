import datetime
import io
import os
import unittest

import support
from scalyr_agent import __scalyr__, compat, util
from scalyr_agent.json_lib import JsonArray, JsonObject


class UtilTest(support.Case):
    def test_json(self):
        self.assertEqual(util.json_encode({"b": [1, "é", None, True]}), '{"b":[1,"é",null,true]}')
        self.assertEqual(util.json_encode(JsonObject(a=JsonArray(1)), binary=True), b'{"a":[1]}')
        stream = io.StringIO()
        util.json_encode([1], output=stream)
        self.assertEqual(stream.getvalue(), "[1]")
        self.assertEqual([util.json_decode(text) for text in ('{"a":[1]}', b'["\xc3\xa9"]')], [{"a": [1]}, ["é"]])
        with self.assertRaises(ValueError):
            util.json_decode("{a:1}")
        self.assertEqual(util.json_scalyr_config_decode("{a:1 // x\n b:2}"), {"a": 1, "b": 2})

    def test_files(self):
        strict = self.write("strict.json", '{"a": 1}')
        relaxed = self.write("relaxed.json", "{a: 1}")
        self.assertEqual(util.read_file_as_json(strict), {"a": 1})
        self.assertEqual(util.read_config_file_as_json(relaxed), {"a": 1})
        for path in (relaxed, os.path.join(self.folder, "missing")):
            with self.assertRaises(util.JsonReadFileException) as caught:
                util.read_file_as_json(path)
            self.assertIn('the file "%s": ' % path, str(caught.exception))
        target, temporary = os.path.join(self.folder, "target"), os.path.join(self.folder, "temporary")
        util.atomic_write_dict_as_json_file(target, temporary, JsonObject(a=JsonArray(1)))
        self.assertEqual((util.read_file_as_json(target), os.path.exists(temporary)), ({"a": [1]}, False))

    def test_match_glob(self):
        for name in ("x.log", "a/y.log", "a/b/z.log"):
            self.write(name, "")
        for pattern, want in (
                ("*.log", ["x.log"]), ("**/*.log", ["a/b/z.log", "a/y.log", "x.log"]), ("a", ["a"]),
                ("nothing*", []), ("[xa]*", ["a", "x.log"])):
            paths = util.match_glob(os.path.join(self.folder, pattern))
            found = [os.path.relpath(path, self.folder).replace(os.sep, "/") for path in paths]
            self.assertEqual(sorted(found), want)

    def test_values(self):
        for value, want in ((1, True), (0, False), (True, True), (1.0, True), (None, False), ("true", True),
                            ("x", True), ("false", False), ("FALSE", False), ("f", False), ("", False), ("0", True),
                            ("F", True), ("no", True), (" false", True), (0.0, False), (1e-11, False),
                            (1 - 1e-11, True)):
            self.assertIs(util.value_to_bool(value), want, value)
        for value in (2, 0.5, -1, float("nan"), [], {}, b"", object()):
            with self.assertRaises(ValueError):
                util.value_to_bool(value)
        self.assertEqual(
            [util.is_list_of_strings(value) for value in (["a"], [], JsonArray("a"), ["a", 1], 1)],
            [True, True, True, False, False])

    def test_texts(self):
        self.assertEqual(util.md5_hexdigest("a"), "0cc175b9c0f1b6a831c399e269772661")
        self.assertEqual(util.remove_newlines_and_truncate("a\nb\rcdef", 5), "a b c")
        self.assertEqual(
            (util.format_time(1.5), util.format_time(None)), ("Thu Jan  1 00:00:01 1970 UTC", "Never"))
        self.assertNotEqual(util.create_unique_id(), util.create_unique_id())

    def test_times(self):
        moment = datetime.datetime(2020, 1, 1, 0, 0, 1, 500000)
        self.assertEqual(util.seconds_since_epoch(moment), 1577836801.5)
        self.assertEqual(util.microseconds_since_epoch(moment), 1577836801500000)
        self.assertEqual(util.seconds_since_epoch(moment, datetime.datetime(2020, 1, 1)), 1.5)

    def test_parser(self):
        for config, attributes, want in (
                ({"parser": "p"}, {"parser": "q"}, "p"), ({}, {"parser": "q"}, "q"), ({}, None, "d")):
            self.assertEqual(util.get_parser_from_config(config, attributes, "d"), want)

    def test_compat(self):
        self.environment(COMPAT_SET="1", COMPAT_UNSET=None)
        self.assertEqual(compat.os_environ_unicode["COMPAT_SET"], "1")
        self.assertEqual(
            [compat.os_getenv_unicode("COMPAT_UNSET"), compat.os_getenv_unicode("COMPAT_UNSET", "d")], [None, "d"])
        self.assertEqual(compat.custom_defaultdict(list)["x"], [])
        self.assertEqual((compat.PY2, compat.PY3, compat.struct_pack_unicode("!I", 1)), (False, True, b"\0\0\0\1"))
        self.assertIsNone(compat.which("there-is-no-such-program"))

    def test_version(self):
        self.assertEqual((__scalyr__.SCALYR_VERSION, __scalyr__.SCRIPTBRIDGE), ("2.2.22", True))
        self.assertEqual(__scalyr__.get_install_root(), support.PACKAGE)


if __name__ == "__main__":
    unittest.main()
