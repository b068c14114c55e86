"""Where a record of a logger goes besides to the bridge."""


def hand_on(record, logger, is_theirs):
    """Gives a record to the handlers on its way up from the logger, those that is_theirs is true for.

    Returns whether it comes as far as the root logger, where a program's own log is.
    """
    while logger is not None:
        for handler in list(logger.handlers):
            if record.levelno >= handler.level and is_theirs(handler):
                handler.handle(record)
        if logger.parent is None:
            return True
        logger = logger.parent if logger.propagate else None
    return False
