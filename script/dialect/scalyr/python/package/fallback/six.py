"""A stand-in for the library six, for interpreters that have none.

It offers what monitors use of it. Python 3 only.
"""

import builtins
import collections
import functools
import importlib
import importlib.machinery
import io
import itertools
import operator
import os
import shlex
import subprocess
import sys
import types

__version__ = "1.16.0"
PY2 = False
PY3 = True
PY34 = True
MAXSIZE = sys.maxsize

string_types = (str,)
integer_types = (int,)
class_types = (type,)
text_type = str
Iterator = object
binary_type = bytes
StringIO = io.StringIO
BytesIO = io.BytesIO
unichr = chr
int2byte = operator.methodcaller("to_bytes", 1, "big")
byte2int = operator.itemgetter(0)
indexbytes = operator.getitem
iterbytes = iter
next = advance_iterator = builtins.next
callable = builtins.callable
print_ = builtins.print
exec_ = builtins.exec
wraps = functools.wraps
get_method_function = operator.attrgetter("__func__")
get_method_self = operator.attrgetter("__self__")
get_function_code = operator.attrgetter("__code__")
get_function_defaults = operator.attrgetter("__defaults__")
get_function_globals = operator.attrgetter("__globals__")


def b(text):
    return text.encode("latin-1")


def u(text):
    return text


def iterkeys(mapping, **kwargs):
    return iter(mapping.keys(**kwargs))


def itervalues(mapping, **kwargs):
    return iter(mapping.values(**kwargs))


def iteritems(mapping, **kwargs):
    return iter(mapping.items(**kwargs))


def iterlists(mapping, **kwargs):
    return iter(mapping.lists(**kwargs))


def assertCountEqual(case, *args, **kwargs):
    return case.assertCountEqual(*args, **kwargs)


def assertRaisesRegex(case, *args, **kwargs):
    return case.assertRaisesRegex(*args, **kwargs)


def assertRegex(case, *args, **kwargs):
    return case.assertRegex(*args, **kwargs)


def assertNotRegex(case, *args, **kwargs):
    return case.assertNotRegex(*args, **kwargs)


viewkeys = operator.methodcaller("keys")
viewvalues = operator.methodcaller("values")
viewitems = operator.methodcaller("items")


def ensure_text(value, encoding="utf-8", errors="strict"):
    if isinstance(value, bytes):
        return value.decode(encoding, errors)
    if isinstance(value, str):
        return value
    raise TypeError("%s is neither a text nor bytes" % type(value))


ensure_str = ensure_text


def ensure_binary(value, encoding="utf-8", errors="strict"):
    if isinstance(value, str):
        return value.encode(encoding, errors)
    if isinstance(value, bytes):
        return value
    raise TypeError("%s is neither a text nor bytes" % type(value))


def reraise(kind, value, trace=None):
    raise (kind() if value is None else value).with_traceback(trace)


def raise_from(value, from_value):
    raise value from from_value


def with_metaclass(meta, *bases):
    """Returns a base class that makes a class of the given bases and metaclass."""
    class Metaclass(type):
        def __new__(cls, name, this_bases, namespace):
            return meta(name, bases, namespace)
    return type.__new__(Metaclass, "temporary_class", (), {})


def add_metaclass(metaclass):
    """Returns a decorator that makes a class anew, of the metaclass."""
    def wrapper(cls):
        namespace = {
            key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__")}
        return metaclass(cls.__name__, cls.__bases__, namespace)
    return wrapper


def python_2_unicode_compatible(cls):
    return cls


def create_bound_method(function, instance):
    return types.MethodType(function, instance)


def create_unbound_method(function, cls):
    return function


# --- six.moves ---

# The modules that Python 3 has elsewhere.
_MODULES = {
    "BaseHTTPServer": "http.server",
    "CGIHTTPServer": "http.server",
    "SimpleHTTPServer": "http.server",
    "_thread": "_thread",
    "builtins": "builtins",
    "cPickle": "pickle",
    "collections_abc": "collections.abc",
    "configparser": "configparser",
    "copyreg": "copyreg",
    "email_mime_base": "email.mime.base",
    "email_mime_multipart": "email.mime.multipart",
    "email_mime_text": "email.mime.text",
    "html_entities": "html.entities",
    "html_parser": "html.parser",
    "http_client": "http.client",
    "http_cookiejar": "http.cookiejar",
    "http_cookies": "http.cookies",
    "queue": "queue",
    "reprlib": "reprlib",
    "socketserver": "socketserver",
    "urllib.error": "urllib.error",
    "urllib.parse": "urllib.parse",
    "urllib.request": "urllib.request",
    "urllib.response": "urllib.response",
    "urllib.robotparser": "urllib.robotparser",
    "tkinter": "tkinter",
    "urllib_error": "urllib.error",
    "urllib_parse": "urllib.parse",
    "urllib_request": "urllib.request",
    "urllib_response": "urllib.response",
    "urllib_robotparser": "urllib.robotparser",
    "xmlrpc_client": "xmlrpc.client",
    "xmlrpc_server": "xmlrpc.server",
}

_NAMES = {
    "StringIO": io.StringIO,
    "UserDict": collections.UserDict,
    "UserList": collections.UserList,
    "UserString": collections.UserString,
    "cStringIO": io.StringIO,
    "filter": filter,
    "filterfalse": itertools.filterfalse,
    "getcwd": os.getcwd,
    "getcwdb": os.getcwdb,
    "getoutput": subprocess.getoutput,
    "input": input,
    "intern": sys.intern,
    "map": map,
    "range": range,
    "reduce": functools.reduce,
    "reload_module": importlib.reload,
    "shlex_quote": shlex.quote,
    "xrange": range,
    "zip": zip,
    "zip_longest": itertools.zip_longest,
}


class _Package(types.ModuleType):
    """six.moves, or six.moves.urllib: imports its modules when they are asked for."""

    def __init__(self, name, prefix, names):
        types.ModuleType.__init__(self, name)
        self.__path__ = []
        self.__dict__.update(names)
        self._prefix = prefix

    def __getattr__(self, name):
        target = _MODULES.get(self._prefix + name)
        if target is None:
            raise AttributeError("%s has no %s" % (self.__name__, name))
        module = importlib.import_module(target)
        setattr(self, name, module)
        return module


class _Finder(object):
    """Has `import six.moves.http_client` find the module that it stands for."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname.startswith(__name__ + ".moves.") and fullname[len(__name__) + 7:] in _MODULES:
            return importlib.machinery.ModuleSpec(fullname, _Finder)
        return None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        name = module.__name__
        sys.modules[name] = importlib.import_module(_MODULES[name[len(__name__) + 7:]])


__path__ = []
moves = _Package(__name__ + ".moves", "", _NAMES)
moves.urllib = _Package(__name__ + ".moves.urllib", "urllib.", {})
sys.modules[moves.__name__] = moves
sys.modules[moves.urllib.__name__] = moves.urllib
sys.meta_path.append(_Finder)
