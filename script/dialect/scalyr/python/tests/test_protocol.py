import json
import os
import threading
import unittest

import support  # noqa: F401
import scriptbridge_protocol as protocol


class EncodeTest(unittest.TestCase):
    def test_values(self):
        for value, want in (
                (1, 1), (True, True), (0.1, 0.1), ("x", "x"), (10 ** 300, 10 ** 300),
                (float("nan"), {"f": "NaN"}), (float("inf"), {"f": "+Inf"}), (-float("inf"), {"f": "-Inf"}),
                (2 ** 2048 - 1, 2 ** 2048 - 1), (2 ** 2048, {"f": "+Inf"}), (-10 ** 5000, {"f": "-Inf"}),
                ("x" * 65537, "x" * 65536)):
            self.assertEqual(protocol.encode_value(value), want)
        self.assertIs(protocol.encode_value(True), True)


class Channel(protocol.Channel):
    """Remembers the lines instead of writing them."""

    def __init__(self):
        self.lines = []

    def send_line(self, text):
        self.lines.append(text)

    def take(self):
        """Returns the messages without their times."""
        messages = [json.loads(line) for line in self.lines]
        self.lines = []
        for message in messages:
            message.pop("time", None)
            message.pop("duration", None)
        return messages


def batch(records=(), lines=(), gather=False, **fields):
    return dict({"t": "batch", "gather": gather, "error": "", "detail": "",
                 "records": list(records), "lines": list(lines)}, **fields)


class BatchesTest(unittest.TestCase):
    def setUp(self):
        self.channel = Channel()
        self.batches = protocol.Batches(self.channel)

    def test_gather(self):
        self.batches.begin_gather()
        self.batches.record("a", 1, {"b": "c"}, "id", 1400000000123.0)
        self.batches.record("n", float("nan"), {}, None, None)
        self.batches.line("text é", None)
        self.batches.line("other", 7)
        self.batches.end_gather()
        self.assertEqual(self.channel.take(), [batch(
            [["a", 1, {"b": "c"}, "id", 1400000000123], ["n", {"f": "NaN"}, None, None, None]],
            [{"text": "text é", "id": None}, {"text": "other", "id": "7"}], gather=True)])

    def test_error(self):
        self.batches.begin_gather()
        self.batches.record("a", 1, None, None, None)
        self.batches.end_gather("ValueError: bad", "Traceback")
        self.assertEqual(self.channel.take(), [batch(
            [["a", 1, None, None, None]], gather=True, error="ValueError: bad", detail="Traceback")])

    def test_other_threads(self):
        self.batches.flush()
        self.batches.begin_gather()
        self.batches.record("mine", 1, None, None, None)
        thread = threading.Thread(target=self.batches.record, args=("theirs", 2, None, None, None))
        thread.start()
        thread.join()
        self.batches.flush()
        self.batches.end_gather()
        self.batches.line("late", None)
        self.batches.flush()
        self.batches.flush()
        self.assertEqual(self.channel.take(), [
            batch([["theirs", 2, None, None, None]]), batch([["mine", 1, None, None, None]], gather=True),
            batch([], [{"text": "late", "id": None}])])

    def test_long_gather(self):
        self.batches.LONG_GATHER = -1
        self.batches.begin_gather()
        self.batches.record("early", 1, None, None, None)
        self.batches.flush()
        self.batches.record("late", 2, None, None, None)
        self.batches.end_gather()
        self.assertEqual(self.channel.take(), [
            batch([["early", 1, None, None, None]]), batch([["late", 2, None, None, None]], gather=True)])

    def test_split(self):
        text = "é" * 60000  # six bytes each
        self.batches.begin_gather()
        for number in range(7):
            self.batches.record("m%d" % number, text, None, None, None)
        self.batches.end_gather()
        self.assertLess(max(len(line) for line in self.channel.lines), 4 * 1024 * 1024)
        messages = self.channel.take()
        self.assertEqual(
            [(m["gather"], m.get("more"), [record[0] for record in m["records"]]) for m in messages],
            [(False, True, ["m0", "m1", "m2"]), (False, True, ["m3", "m4", "m5"]), (True, None, ["m6"])])

    def test_too_long(self):
        self.batches.record("big", 1, {str(number): "x" * 65536 for number in range(20)}, None, None)
        self.batches.flush()
        messages = self.channel.take()
        self.assertEqual(len(messages), 1)
        self.assertRegex(messages[0]["message"], r"^big is dropped: 13\d{5} bytes, more than 1048576$")
        self.assertEqual((messages[0]["level"], messages[0]["code"]), ("WARNING", "tooLong"))

    def test_before_send(self):
        calls = []
        batches = protocol.Batches(self.channel, lambda: calls.append(len(self.channel.lines)))
        batches.begin_gather()
        batches.end_gather()
        self.assertEqual((calls, len(self.channel.lines)), ([0], 1))


class ChannelTest(unittest.TestCase):
    def test_lines(self):
        reader, writer = os.pipe()
        channel = protocol.Channel(writer)
        # More than a pipe holds.
        thread = threading.Thread(target=channel.send, args=("log",), kwargs={"message": "é" * 65537, "code": None})
        thread.start()
        with os.fdopen(reader) as stream:
            self.assertEqual(json.loads(stream.readline()), {"t": "log", "message": "é" * 65536, "code": None})
        thread.join()
        os.close(writer)


if __name__ == "__main__":
    unittest.main()
