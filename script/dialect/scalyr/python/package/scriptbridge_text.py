"""Texts for people, of things that may be unwilling to be one."""

import traceback


def as_text(value, how=str):
    """Returns how(value), which is str or repr; where that raises, a text that says so."""
    try:
        return how(value)
    except BaseException as error:  # Some end the program in it.
        return "<its text raised %s>" % type(error).__name__


def one_line(error):
    """Returns an exception as a line."""
    text = " ".join(as_text(error).split())
    name = type(error).__name__
    return "%s: %s" % (name, text) if text else name


def message_of(record):
    """Returns the message of a logging.LogRecord, its format where the arguments do not fit."""
    if not record.args:
        return as_text(record.msg)
    try:
        return record.getMessage()
    except BaseException as error:
        return "%s (%s)" % (as_text(record.msg), one_line(error))


def trace_of(error, skip=0):
    """Returns an exception's traceback, without its first frames if skip is given."""
    trace = error.__traceback__
    for _ in range(skip):
        trace = trace and trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        return one_line(error)
