"""What allow_http_monitors: false in the agent's configuration asks for."""

from urllib.parse import urlparse


def force_https(config, information):
    """Has the options that may not be http be https, as the agent does; information is what the module declares."""
    for option in information.config_options if information else ():
        value = config[option.option_name] if option.option_name in config else None
        if not option.allow_http and isinstance(value, str):
            config[option.option_name] = _https(value)


def _https(url):
    scheme = urlparse(url).scheme
    if not scheme:
        return "https://" + url
    return "https" + url[len(scheme):] if scheme == "http" else url
