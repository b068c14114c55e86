"""What reading the agent's configuration may raise."""


class BadConfiguration(Exception):
    """A value of the configuration is wrong; field may be None."""

    def __init__(self, message, field, error_code):
        where = 'errorCode="%s"' % error_code
        if field is not None:
            where = 'badField="%s" %s' % (field, where)
        Exception.__init__(self, "%s [[%s]]" % (message, where))
        self.message = message
        self.field = field
        self.error_code = error_code
