import json
import os
import random
import subprocess
import sys
import unittest

import support  # noqa: F401
from scalyr_agent import json_lib
from scalyr_agent.json_lib import (
    ArrayOfStrings, JsonArray, JsonConversionException, JsonMissingFieldException, JsonObject, JsonParseException,
    parse)

GOOD = [
    ("null", None),
    ('"x"', "x"),
    ("5", 5),
    ("{}", {}),
    ("[]", []),
    ("{a:1}", {"a": 1}),
    ('{"a b":1, _c9: 2}', {"a b": 1, "_c9": 2}),
    ("{a:1,\n}", {"a": 1}),
    ("[1,]", [1]),
    # A line break in place of a comma.
    ("{a:1\nb:2}", {"a": 1, "b": 2}),
    ("{a:\t1\r\n \tb:2}", {"a": 1, "b": 2}),
    ("[[1]\n[2]]", [[1], [2]]),
    ("{a:1 // one\nb:2}", {"a": 1, "b": 2}),
    ("{a:1 /* one */\nb:2}", {"a": 1, "b": 2}),
    ("{a:true\nfalse:1}", {"a": True, "false": 1}),
    ("{a:1\n,b:2}", {"a": 1, "b": 2}),
    # Comments.
    (" // c\n{a:/*x*/1} // d", {"a": 1}),
    ("{a:/* two\nlines */ 1}", {"a": 1}),
    # Texts.
    (r'{a:"\t\n\r\b\f\"\\\/\u00e9"}', {"a": "\t\n\r\b\f\"\\/é"}),
    (r'{a:"\ud83d"}', {"a": "\ud83d"}),
    ('{a:"x\ty"}', {"a": "x\ty"}),
    ('{a: "x"+"y" + // c\n "z"}', {"a": "xyz"}),
    ('{a: "x"\n + "y"}', {"a": "xy"}),
    ('{a: "" + "x"}', {"a": "x"}),
    ('{a:"""x\n"y" \\t"""}', {"a": 'x\n"y" \t'}),
    ('{a:""""""}', {"a": ""}),
    # Numbers.
    ("[007, -1, 1., 01.5, 1e5, 1E+2, -2.5e-1]", [7, -1, 1.0, 1.5, 1e5, 100.0, -0.25]),
    ("[99999999999999999999999]", [99999999999999999999999]),
    ("[1e999]", [float("inf")]),
    # Members that are null are left out, elements are not.
    ("{a:null,b:[null]}", {"b": [None]}),
    ("{a:1,a:2}", {"a": 2}),
    ("{a:1,a:null}", {}),
]

# The text, then what is told of it: the words, the line and the position.
BAD = [
    ("", "a value is missing at the end", 1, 0),
    ("{", "the { has no end", 1, 0),
    ("{a:[1,\n2}", "a comma or ] is missing", 2, 8),
    ("{a", 'a colon is missing after the key "a"', 1, 2),
    ("{a:", "a value is missing at the end", 1, 3),
    ("{a:1 b:2}", "a comma or } is missing", 1, 5),
    ("{a:1\n/*c*/b:2}", "a comma or } is missing", 2, 10),
    ("{a:1 /*\n*/ b:2}", "a comma or } is missing", 2, 11),
    ("{a:1,,b:2}", "a key is a text in double quotes, or letters, digits and underscores", 1, 5),
    ("[1,,2]", "a value cannot begin with ,", 1, 3),
    ("{a-b:1}", 'a colon is missing after the key "a"', 1, 2),
    ("{1:2}", "a key is a text in double quotes, or letters, digits and underscores", 1, 1),
    ('{"""a""":1}', "a key is a text in double quotes, or letters, digits and underscores", 1, 1),
    ("{é:2}", "a key is a text in double quotes, or letters, digits and underscores", 1, 1),
    ("{a:'x'}", "a value cannot begin with '", 1, 3),
    ("{a:True}", "a value cannot begin with True", 1, 3),
    ("{a:.5}", "a value cannot begin with .", 1, 3),
    ("{a:+1}", "a value cannot begin with +", 1, 3),
    ("{a:NaN}", "a value cannot begin with NaN", 1, 3),
    ("{a:0x10}", "a comma or } is missing", 1, 4),
    ("{a:1;b:2}", "a comma or } is missing", 1, 4),
    ("# c\n{a:1}", "a value cannot begin with #", 1, 0),
    ('{a:"x\ny"}', "the text has no end on its line", 1, 3),
    ('{a:"x', "the text has no end on its line", 1, 3),
    ('{a:"\\x"}', "there is no escape \\x", 1, 4),
    ('{a:"\\u12"}', "there is no escape \\u", 1, 4),
    ('{a:"x" + """y"""}', "a text in double quotes must follow the +", 1, 9),
    ('{a:"x" + 1}', "a text in double quotes must follow the +", 1, 9),
    ('{a:"""x}', 'the """ has no end', 1, 3),
    ("/* x", "the comment has no end", 1, 0),
    ("{a:1}x", "nothing may follow the value", 1, 5),
    ("\ufeff{}", "a value cannot begin with \ufeff", 1, 0),
    ("[" * 101, "the value is nested too deeply", 1, 100),
]


def as_json(value):
    return json.dumps(value, sort_keys=True)


def shared():
    """Returns the rows of relaxed.json, their values spelled as as_json does."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "relaxed.json"), encoding="ascii") as stream:
        return [(text, None if want is None else as_json(json.loads(want))) for text, want in json.load(stream)]


# Reads texts with the agent's own parser; a member that is null is one that its getters do not find.
THE_AGENTS = """
import json, sys
from scalyr_agent.json_lib import JsonArray, JsonObject, parse

def plain(value):
    if isinstance(value, JsonObject):
        return {key: plain(value[key]) for key in value.keys() if value[key] is not None}
    return [plain(element) for element in value] if isinstance(value, JsonArray) else value

results = []
for text in json.load(sys.stdin):
    try:
        results.append(json.dumps(plain(parse(text)), sort_keys=True))
    except Exception:
        results.append(None)
print(json.dumps(results))
"""


class ParseTest(unittest.TestCase):
    def test_good(self):
        for text, want in GOOD:
            with self.subTest(text):
                self.assertEqual(parse(text), want)

    def test_bad(self):
        for text, message, line, position in BAD:
            with self.subTest(text):
                with self.assertRaises(JsonParseException) as caught:
                    parse(text)
                got = caught.exception
                self.assertEqual((got.raw_message, got.line_number, got.position), (message, line, position))
                self.assertEqual(str(got), "%s (line %d, position %d)" % (message, line, position))

    def test_shared(self):
        """The bridge's own reader has the same table (relaxed.json): text, and its value as JSON or null for none."""
        for text, want in shared():
            with self.subTest(text):
                try:
                    got = as_json(parse(text))
                except JsonParseException:
                    got = None
                self.assertEqual(got, want)

    @unittest.skipUnless(
        os.environ.get("SCALYR_AGENT"), "SCALYR_AGENT names no folder that holds the agent's own package")
    def test_shared_with_the_agent(self):
        rows = shared()
        output = subprocess.check_output(
            [sys.executable, "-c", THE_AGENTS], input=json.dumps([text for text, _ in rows]).encode("ascii"),
            env=dict(os.environ, PYTHONPATH=os.environ["SCALYR_AGENT"], PYTHONDONTWRITEBYTECODE="1"))
        for (text, want), got in zip(rows, json.loads(output.decode("ascii"))):
            with self.subTest(text):
                self.assertEqual(got, want)

    def test_surrogates(self):
        self.assertEqual(parse(r'["\ud83d\ude00", "\ud83d\ud83d\ude00", "\ude00\ud83d"]'),
                         ["\U0001f600", "\ud83d\U0001f600", "\ude00\ud83d"])

    def test_types(self):
        value = parse("{a:[{b:1}]}")
        self.assertEqual(
            [type(value), type(value["a"]), type(value["a"][0])], [JsonObject, JsonArray, JsonObject])

    def test_reads_what_it_writes(self):
        value = {"a": [1, 2.5, True, "é\n\"\\", {"b": []}], "c d": {}}
        self.assertEqual(parse(json_lib.serialize(value)), value)

    def test_long_number(self):
        try:
            self.assertEqual(parse("[" + "9" * 5000 + "]"), [10 ** 5000 - 1])
        except JsonParseException as error:  # Newer versions of Python refuse.
            self.assertEqual(error.raw_message, "the number is too long")

    def test_garbage_raises_nothing_else(self):
        generator = random.Random(1)
        pieces = [text for text, _ in GOOD] + list('{}[]",:+\\/*\n tfn019.-eu"') + ['"""', "//", "/*", "*/"]
        for _ in range(3000):
            text = "".join(generator.choice(pieces) for _ in range(generator.randrange(12)))
            try:
                json.dumps(parse(text))
            except JsonParseException as error:
                self.assertTrue(0 <= error.position <= len(text), text)


class ObjectTest(unittest.TestCase):
    VALUE = JsonObject(a=1, b="x", c=True, d=1.5, e=JsonArray(1), f=JsonObject(z=1), g="12", h=None, i="false", j=0)
    # What each method returns for the fields from a on; ! where it raises.
    WANT = {
        "get_bool": [True, True, True, "!", "!", "!", True, "!", False, False],
        "get_int": [1, "!", "!", 1, "!", "!", 12, "!", "!", 0],
        "get_long": [1, "!", "!", 1, "!", "!", 12, "!", "!", 0],
        "get_float": [1.0, "!", "!", 1.5, "!", "!", 12.0, "!", "!", 0.0],
        "get_string": ["1", "x", "!", "1.5", "!", "!", "12", None, "false", "0"],
        "get_json_object": ["!", "!", "!", "!", "!", {"z": 1}, "!", "!", "!", "!"],
        "get_json_array": ["!", "!", "!", "!", [1], "!", "!", "!", "!", "!"],
        "get": [1, "x", True, 1.5, [1], {"z": 1}, "12", None, "false", 0],
    }

    def test_getters(self):
        for method, want in self.WANT.items():
            got = []
            for field in "abcdefghij":
                try:
                    got.append(getattr(self.VALUE, method)(field))
                except JsonConversionException:
                    got.append("!")
            self.assertEqual((method, got), (method, want))
            with self.assertRaises(JsonMissingFieldException):
                getattr(self.VALUE, method)("missing")
            self.assertIsNone(getattr(self.VALUE, method)("missing", none_if_missing=True))
            self.assertEqual(getattr(self.VALUE, method)("missing", "default"), "default")

    def test_bools(self):
        for value, want in (("0", True), ("f", False), ("F", True), ("False", True), ("false", False), ("", False),
                            (1e-11, False), (1.0, True), (0.5, "!")):
            try:
                got = JsonObject(a=value).get_bool("a")
            except JsonConversionException:
                got = "!"
            self.assertEqual(got, want, value)

    def test_messages(self):
        with self.assertRaises(JsonConversionException) as caught:
            self.VALUE.get_int("b")
        self.assertEqual(str(caught.exception), "the field \"b\" is 'x', which is no int")
        with self.assertRaises(JsonMissingFieldException) as caught:
            self.VALUE["missing"]
        self.assertEqual(str(caught.exception), 'the field "missing" is missing')

    def test_object(self):
        value = JsonObject({"a": 1})
        self.assertIs(value.put("b", 2), value)
        value.get_or_create_json_object("c")["d"] = 3
        self.assertIs(value.get_or_create_json_object("c"), value["c"])
        self.assertEqual(value.keys(), ["a", "b", "c"])
        self.assertEqual(value.values(), [1, 2, {"d": 3}])
        self.assertEqual(value.items(), list(value.iteritems()))
        self.assertEqual(list(value.iterkeys()) + list(value.itervalues()), value.keys() + value.values())
        self.assertEqual([type(value.to_dict()), type(value.to_dict()["c"])], [dict, dict])
        self.assertIs(type(value.copy()), JsonObject)
        self.assertEqual(json.loads(json.dumps(value)), value)

    def test_array(self):
        value = JsonArray(JsonObject(a=1), 2)
        value.add(3)
        self.assertEqual((list(value), value[2], len(value), value._items), ([{"a": 1}, 2, 3], 3, 3, value))
        self.assertEqual(value.get_json_object(0), {"a": 1})
        with self.assertRaises(JsonConversionException):
            list(value.json_objects())
        self.assertEqual(JsonArray([1, 2]), [[1, 2]])
        self.assertEqual(ArrayOfStrings(["a", "b"]), ["a", "b"])
        with self.assertRaises(TypeError):
            ArrayOfStrings(["a", 1])


if __name__ == "__main__":
    unittest.main()
