"""The types that hold a JSON object and a JSON array.

Monitors ask for exactly these types (type(x) == JsonArray), so whatever comes
from a configuration is of them. Beyond what the agent offers they are a dict
and a list, so that json.dumps, isinstance and comparisons work as well.
"""

from scalyr_agent.json_lib.exceptions import JsonConversionException, JsonMissingFieldException


class JsonObject(dict):
    """A JSON object. Unlike a dict it raises for a missing field, in get too."""

    def __init__(self, content=None, **key_values):
        dict.__init__(self, content or {}, **key_values)

    def __getitem__(self, field):
        try:
            return dict.__getitem__(self, field)
        except KeyError:
            raise JsonMissingFieldException('the field "%s" is missing' % (field,))

    def get(self, field, default_value=None, none_if_missing=False):
        """Returns the field; where it is missing the default, or None if allowed, and raises otherwise."""
        if field in self:
            return dict.__getitem__(self, field)
        return self._missing(field, default_value, none_if_missing)

    def get_bool(self, field, default_value=None, none_if_missing=False):
        """As get; 0 and 1 are numbers that mean a bool, a text is true unless it is empty, f or false."""
        return self._get(field, default_value, none_if_missing, "bool", _to_bool)

    def get_int(self, field, default_value=None, none_if_missing=False):
        return self._get(field, default_value, none_if_missing, "int", _to_number(int))

    get_long = get_int

    def get_float(self, field, default_value=None, none_if_missing=False):
        return self._get(field, default_value, none_if_missing, "float", _to_number(float))

    def get_string(self, field, default_value=None, none_if_missing=False):
        return self._get(field, default_value, none_if_missing, "string", _to_string)

    def get_json_object(self, field, default_value=None, none_if_missing=False):
        return self._get(field, default_value, none_if_missing, "JSON object", _must_be(JsonObject))

    def get_json_array(self, field, default_value=None, none_if_missing=False):
        return self._get(field, default_value, none_if_missing, "JSON array", _must_be(JsonArray))

    def get_or_create_json_object(self, field):
        """Returns the object in the field, an empty one put there when it is missing."""
        if field not in self:
            self[field] = JsonObject()
        return self.get_json_object(field)

    def put(self, key, value):
        """Sets a field and returns the object itself."""
        self[key] = value
        return self

    def keys(self):
        return list(dict.keys(self))

    def values(self):
        return list(dict.values(self))

    def items(self):
        return list(dict.items(self))

    def iterkeys(self):
        return iter(dict.keys(self))

    def itervalues(self):
        return iter(dict.values(self))

    def iteritems(self):
        return iter(dict.items(self))

    def copy(self):
        return JsonObject(dict(self))

    def to_dict(self):
        """Returns plain dicts and lists, all the way down."""
        return to_builtin(self)

    to_json = to_dict

    def _missing(self, field, default_value, none_if_missing):
        if default_value is None and not none_if_missing:
            raise JsonMissingFieldException('the field "%s" is missing' % (field,))
        return default_value

    def _get(self, field, default_value, none_if_missing, kind, convert):
        if field not in self:
            return self._missing(field, default_value, none_if_missing)
        value = dict.__getitem__(self, field)
        try:
            return convert(value)
        except (TypeError, ValueError):
            raise JsonConversionException('the field "%s" is %r, which is no %s' % (field, value, kind))


class JsonArray(list):
    """A JSON array. Its constructor takes the elements, not a list of them."""

    def __init__(self, *args):
        list.__init__(self, args)

    @property
    def _items(self):
        # Some monitors reach for the agent's own list.
        return self

    def add(self, value):
        self.append(value)

    def get_json_object(self, index):
        value = self[index]
        if not isinstance(value, JsonObject):
            raise JsonConversionException("the element %d is no JSON object" % index)
        return value

    def json_objects(self):
        """Yields the elements, all of which must be JSON objects."""
        for index in range(len(self)):
            yield self.get_json_object(index)


class ArrayOfStrings(JsonArray):
    """An array that holds strings only. Its constructor takes any iterable."""

    separators = ","

    def __init__(self, values=None):
        values = list(values or ())
        for value in values:
            if not isinstance(value, str):
                raise TypeError("%r is no string" % (value,))
        JsonArray.__init__(self, *values)


class SpaceAndCommaSeparatedArrayOfStrings(ArrayOfStrings):
    """As ArrayOfStrings; where it is read from a text, blanks separate too."""

    separators = " \t,"


def to_json_types(value):
    """Returns value with its dicts as JsonObject and its lists as JsonArray, all the way down."""
    if isinstance(value, dict):
        return JsonObject({key: to_json_types(member) for key, member in dict.items(value)})
    if isinstance(value, ArrayOfStrings):
        return value
    if isinstance(value, (list, tuple)):
        return JsonArray(*[to_json_types(element) for element in value])
    return value


def to_builtin(value):
    """Returns value with plain dicts and lists, all the way down."""
    if isinstance(value, dict):
        return {key: to_builtin(member) for key, member in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return [to_builtin(element) for element in value]
    return value


def number_to_bool(value):
    """Reads a bool, or a number that is 1 or 0. Raises ValueError."""
    if isinstance(value, (bool, int, float)):
        for number in (0, 1):
            if abs(value - number) < 1e-10:
                return bool(number)
    raise ValueError("%r is no bool" % (value,))


def _to_bool(value):
    return value not in ("", "f", "false") if isinstance(value, str) else number_to_bool(value)


def _to_number(kind):
    def convert(value):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError()
        return kind(value)
    return convert


def _to_string(value):
    if isinstance(value, bool) or isinstance(value, (dict, list)):
        raise ValueError()
    return value if value is None else str(value)


def _must_be(kind):
    def convert(value):
        if not isinstance(value, kind):
            raise ValueError()
        return value
    return convert
