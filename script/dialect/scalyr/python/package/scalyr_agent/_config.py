"""MonitorConfig: a monitor's configuration, checked and converted."""

import os

from scalyr_agent import scalyr_logging
from scalyr_agent._registry import MonitorInformation
from scalyr_agent.json_lib import JsonParseException, parse
from scalyr_agent.json_lib.objects import ArrayOfStrings, JsonArray, JsonObject, SpaceAndCommaSeparatedArrayOfStrings

_CONFLICT_SECONDS = 300


class BadMonitorConfiguration(Exception):
    """A field of a monitor's configuration is missing or wrong.

    message is one line that names the field; field is its name.
    """

    def __init__(self, message, field):
        Exception.__init__(self, message)
        self.message = message
        self.field = field


class MonitorConfig(object):
    """A monitor's configuration: a mapping that nobody can change, with a get that checks and converts.

    With monitor_module the options that this module has declared are checked
    and converted at once, which may raise BadMonitorConfiguration.
    """

    def __init__(self, content=None, monitor_module=None):
        self._values = {}
        self._declared = {}
        if content is not None:
            self._values.update(content.items())
        info = MonitorInformation.get_monitor_info(monitor_module)
        if info is None:
            return
        self._declared = {option.option_name: option for option in info.config_options}
        for option in info.config_options:
            self._set_declared(option)

    def _set_declared(self, option):
        name = option.option_name
        if option.required_option or option.default is not None or name in self._values \
                or ((option.env_aware or option.env_name) and _environment(name, option) is not None):
            self._values[name] = self.get(
                name, required_field=option.required_option, max_value=option.max_value,
                min_value=option.min_value, convert_to=option.convert_to, default=option.default)

    def get(self, field, required_field=False, max_value=None, min_value=None, convert_to=None, default=None,
            report_conflicting_environment_value=False):
        """Returns the value of a field, or else of its environment variable, or else the default.

        convert_to is a type: str, int, float, bool, JsonArray, JsonObject,
        ArrayOfStrings, SpaceAndCommaSeparatedArrayOfStrings or list. The
        variable is the one declared for the field, or SCALYR_ and the field in
        upper case, or the same in lower case. A required field has to be there
        even where there is a default; there as null is enough, and null is not
        checked further. Raises BadMonitorConfiguration.
        """
        value = self._values.get(field)
        text = _environment(field, self._declared.get(field))
        if value is None and text is not None:
            value = text
        elif text is not None and text != str(value):
            # Neither value is told: it may be a secret.
            _log.warning(
                'the field "%s" is in the configuration and, with another value, in the environment: '
                'the configuration holds', field,
                limit_once_per_x_secs=_CONFLICT_SECONDS, limit_key="environment " + field)
        if value is not None:
            value = convert(value, convert_to, field)
        elif field not in self._values:
            if required_field:
                raise BadMonitorConfiguration('the required field "%s" is missing' % field, field)
            value = _convert_default(default, convert_to, field)
        if value is None:
            return None
        if max_value is not None and value > max_value:
            raise _out_of_bounds(field, value, "maximum", max_value)
        if min_value is not None and value < min_value:
            raise _out_of_bounds(field, value, "minimum", min_value)
        return value

    def __getitem__(self, field):
        return self._values[field]

    def __contains__(self, field):
        return field in self._values

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def keys(self):
        return list(self._values)

    def values(self):
        return list(self._values.values())

    def items(self):
        return list(self._values.items())

    def iterkeys(self):
        return iter(self.keys())

    def itervalues(self):
        return iter(self.values())

    def iteritems(self):
        return iter(self.items())

    def copy(self):
        result = MonitorConfig(self._values)
        result._declared = self._declared
        return result

    def __eq__(self, other):
        return self._values == (other._values if isinstance(other, MonitorConfig) else other)

    __hash__ = None

    def __repr__(self):
        # Only the names: values may be secrets, and this may end in a log.
        return "MonitorConfig(%s)" % ", ".join(sorted(self._values))


def _environment(field, option):
    """Returns what the field's environment variable holds, None where it is not set."""
    name = (option and option.env_name) or "SCALYR_" + field
    for spelling in (name, name.upper(), name.lower()):
        if spelling in os.environ:
            return os.environ[spelling]
    return None


def convert(value, kind, field):
    """Returns value as kind. Raises BadMonitorConfiguration, which names the field."""
    if kind is None or type(value) is kind:
        return value
    if isinstance(value, str):
        return _convert_text(value, kind, field)
    if kind is str and isinstance(value, (bool, int, float, JsonArray, list, JsonObject)) \
            and not isinstance(value, ArrayOfStrings):
        return str(value)
    if kind in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return kind(value)
        except (OverflowError, ValueError):  # inf and nan are no int
            raise BadMonitorConfiguration('the field "%s" is %r, which is not %s' % (field, value, _word(kind)), field)
    if isinstance(value, (list, JsonArray)):
        if kind is list:
            return list(value)
        if kind is JsonArray:
            return JsonArray(*value)
        if kind in (ArrayOfStrings, SpaceAndCommaSeparatedArrayOfStrings):
            for element in value:
                if not isinstance(element, str):
                    raise BadMonitorConfiguration(
                        'the field "%s" has the element %r, which is %s: all must be texts' % (
                            field, element, _word(type(element))), field)
            return kind(value)
    if kind is JsonObject and isinstance(value, dict):
        return JsonObject(value)
    raise BadMonitorConfiguration(
        'the field "%s" is %s, and %s is needed' % (field, _word(type(value)), _word(kind)), field)


def _convert_text(text, kind, field):
    if kind is str:
        return str(text)
    if kind is bool:
        return text.lower() == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise BadMonitorConfiguration('the field "%s" is "%s", which is not %s' % (field, text, _word(kind)), field)
    if kind in (ArrayOfStrings, SpaceAndCommaSeparatedArrayOfStrings):
        return _split(text, kind)
    if kind in (JsonArray, JsonObject):
        try:
            value = parse(text) if text.strip() else kind()
        except JsonParseException as error:
            raise BadMonitorConfiguration(
                'the field "%s" is no JSON, and %s is needed: %s' % (field, _word(kind), error), field)
        if type(value) is kind:
            return value
        text = value
    raise BadMonitorConfiguration(
        'the field "%s" is %s, and %s is needed' % (field, _word(type(text)), _word(kind)), field)


def _split(text, kind):
    """Reads a list of texts: brackets around it and quotes around each may be left out."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    for separator in kind.separators:
        text = text.replace(separator, ",")
    words = []
    for word in text.split(","):
        word = word.strip()
        if len(word) >= 2 and word[0] == word[-1] and word[0] in "'\"":
            word = word[1:-1]
        if word:
            words.append(word)
    return ArrayOfStrings(words)


def _convert_default(default, kind, field):
    if default is None:
        return None
    # What a module's author writes for false and true.
    if kind is bool and type(default) is int and default in (0, 1):
        return bool(default)
    return convert(default, kind, field)


def _out_of_bounds(field, value, word, bound):
    return BadMonitorConfiguration('the field "%s" is %s; its %s is %s' % (field, value, word, bound), field)


def _word(kind):
    return _WORDS.get(kind) or "a " + kind.__name__


_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    JsonArray: "a list",
    ArrayOfStrings: "a list of texts",
    SpaceAndCommaSeparatedArrayOfStrings: "a list of texts",
    dict: "an object",
    JsonObject: "an object",
}
_log = scalyr_logging.getLogger("scalyr_agent.monitor_config")
