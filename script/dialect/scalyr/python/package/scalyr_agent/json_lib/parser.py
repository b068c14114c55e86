"""Reads the relaxed JSON of the agent's configuration.

What it allows beyond JSON: comments (// and /* */), unquoted keys, trailing
commas, a line break in a comma's place, "a" + "b", \"\"\"texts of several
lines\"\"\", leading zeros, a number's last dot and -.5. Members that are null are
left out; of two members with one name the last holds.
"""

import re

from scalyr_agent.json_lib.exceptions import JsonParseException
from scalyr_agent.json_lib.objects import JsonArray, JsonObject

# Deeper nesting is refused, long before Python's own limit.
MAX_DEPTH = 100
# And a number of more characters, without its sign.
MAX_NUMBER = 100

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"(?:-?[0-9]+(\.[0-9]*)?|-(\.[0-9]+))([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_PLAIN = re.compile(r'[^"\\\n\r]*')
_TRIPLE = re.compile(r'"""((?:[^"\\]|\\.|"(?!""))*)"""', re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_PAIR = re.compile("([\ud800-\udbff])([\udc00-\udfff])")


def parse(text):
    """Returns the value of the text, objects as JsonObject and arrays as JsonArray.

    Raises JsonParseException, for an empty text too.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    parser = _Parser(text)
    value, end = parser.value(parser.space(0), 0)
    end = parser.space(end)
    if end != len(text):
        raise parser.error("nothing may follow the value", end)
    return value


class _Parser(object):
    """Every method takes the position to read at and returns that of what follows."""

    def __init__(self, text):
        self.text = text

    def error(self, message, position):
        return JsonParseException(message, position, self.text.count("\n", 0, position) + 1)

    def space(self, at):
        """Skips blanks and comments."""
        end = _SPACE.match(self.text, at).end()
        if self.text.startswith("/*", end):
            raise self.error("the comment has no end", end)
        return end

    def value(self, at, depth):
        char = self.text[at:at + 1]
        if char in ("{", "["):
            if depth == MAX_DEPTH:
                raise self.error("the value is nested too deeply", at)
            return self.object(at, depth + 1) if char == "{" else self.array(at, depth + 1)
        if char == '"':
            return self.strings(at)
        number = _NUMBER.match(self.text, at)
        if number:
            return self.number(number), number.end()
        word = _KEY.match(self.text, at)
        if word and word.group() in _WORDS:
            return _WORDS[word.group()], word.end()
        if not char:
            raise self.error("a value is missing at the end", at)
        raise self.error("a value cannot begin with %s" % (word.group() if word else char), at)

    def number(self, match):
        text = match.group()
        if len(text.lstrip("-")) > MAX_NUMBER:
            raise self.error("the number is too long", match.start())
        return float(text) if any(match.groups()) else int(text)

    def object(self, at, depth):
        members = JsonObject()

        def member(at):
            key, at = self.key(at)
            at = self.space(at)
            if self.text[at:at + 1] != ":":
                raise self.error('a colon is missing after the key "%s"' % key, at)
            value, end = self.value(self.space(at + 1), depth)
            if value is not None:
                members[key] = value
            else:
                members.pop(key, None)
            return end
        return members, self.elements(at, "}", member)

    def array(self, at, depth):
        elements = JsonArray()

        def element(at):
            value, end = self.value(at, depth)
            elements.append(value)
            return end
        return elements, self.elements(at, "]", element)

    def elements(self, opened, closer, element):
        """Reads what is between an opening and a closing bracket with element."""
        at = self.space(opened + 1)
        while self.text[at:at + 1] != closer:
            if at == len(self.text):
                raise self.error("the %s has no end" % self.text[opened], opened)
            end = element(at)
            at = self.space(end)
            if self.text[at:at + 1] == ",":
                at = self.space(at + 1)
            elif at < len(self.text) and self.text[at] != closer and not self.starts_line(at, end):
                raise self.error("a comma or %s is missing" % closer, at)
        return at + 1

    def starts_line(self, at, previous):
        """Tells whether only blanks are before at on its line, which is not the previous element's."""
        return self.text[previous:at].rstrip(" \t").endswith(("\n", "\r"))

    def key(self, at):
        if self.text.startswith('"', at) and not self.text.startswith('"""', at):
            return self.string(at)
        word = _KEY.match(self.text, at)
        if not word:
            raise self.error("a key is a text in double quotes, or letters, digits and underscores", at)
        return word.group(), word.end()

    def strings(self, at):
        """Reads one text, or several joined with +."""
        if self.text.startswith('"""', at):
            match = _TRIPLE.match(self.text, at)
            if not match:
                raise self.error('the """ has no end', at)
            return self.unescape(match.start(1), match.end(1)), match.end()
        value, end = self.string(at)
        parts = [value]
        while True:
            plus = self.space(end)
            if self.text[plus:plus + 1] != "+":
                return "".join(parts), end
            at = self.space(plus + 1)
            if not self.text.startswith('"', at) or self.text.startswith('"""', at):
                raise self.error("a text in double quotes must follow the +", at)
            value, end = self.string(at)
            parts.append(value)

    def string(self, at):
        end = at + 1
        while True:
            end = _PLAIN.match(self.text, end).end()
            char = self.text[end:end + 1]
            if char == '"':
                return self.unescape(at + 1, end), end + 1
            if char != "\\":
                raise self.error("the text has no end on its line", at)
            end += 2

    def unescape(self, at, end):
        parts = []
        while True:
            escape = self.text.find("\\", at, end)
            if escape < 0:
                parts.append(self.text[at:end])
                return _PAIR.sub(_one_character, "".join(parts))
            parts.append(self.text[at:escape])
            char = self.text[escape + 1:escape + 2]
            digits = _HEX.match(self.text, escape + 2, end) if char == "u" else None
            if digits:
                parts.append(chr(int(digits.group(), 16)))
                at = digits.end()
            elif char in _ESCAPES and escape + 1 < end:
                parts.append(_ESCAPES[char])
                at = escape + 2
            else:
                raise self.error("there is no escape \\%s" % char, escape)


def _one_character(pair):
    """Returns the character that two of UTF-16 stand for."""
    return pair.group().encode("utf-16", "surrogatepass").decode("utf-16")
