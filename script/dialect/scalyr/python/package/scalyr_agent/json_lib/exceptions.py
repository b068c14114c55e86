"""What reading a JSON value may raise."""


class JsonConversionException(Exception):
    """A field has a value that cannot be had as the wanted type."""

    def __init__(self, message):
        Exception.__init__(self, message)


class JsonMissingFieldException(Exception):
    """A field that was asked for without a default is not there."""

    def __init__(self, message):
        Exception.__init__(self, message)


class JsonParseException(Exception):
    """A text is no JSON, not even of the relaxed kind.

    position counts characters from 0, line_number lines from 1; -1 stands for
    unknown. str() tells both.
    """

    def __init__(self, message, position=-1, line_number=-1):
        self.raw_message = message
        self.position = position
        self.line_number = line_number
        if line_number >= 0:
            message = "%s (line %d, position %d)" % (message, line_number, position)
        Exception.__init__(self, message)
