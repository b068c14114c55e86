import os
import subprocess
import sys
import unittest

import support

# Each line runs in one interpreter that has no six but ours.
LINES = r"""
import six.moves.urllib.request
from six.moves.urllib.parse import urlencode, urlparse
from six.moves import http_client, http_cookiejar, queue, range, zip, map, filter, configparser, cPickle, reduce
from six.moves import urllib, StringIO, xrange, input, socketserver, shlex_quote, zip_longest, builtins
import six.moves.http_client as httplib
import http.client, urllib.request, urllib.error, pickle, io
assert six.moves.urllib.request is sys.modules['urllib.request']
assert six.moves.urllib.error.URLError is sys.modules['urllib.error'].URLError
assert urllib.parse.urlencode is urlencode and urlencode({'a': 1}) == 'a=1'
assert httplib is http_client is http.client and cPickle is pickle and StringIO is io.StringIO
assert sys.modules['urllib.request'].__spec__.name == 'urllib.request'
assert six.moves.urllib_parse.quote(' ') == '%20'
assert list(xrange(2)) == [0, 1] and reduce(lambda a, b: a + b, [1, 2]) == 3
assert (six.PY2, six.PY3, six.text_type, six.binary_type) == (False, True, str, bytes)
assert isinstance('', six.string_types) and isinstance(1, six.integer_types)
assert list(six.iteritems({1: 2})) == [(1, 2)]
assert list(six.iterkeys({1: 2})) == [1] and list(six.itervalues({1: 2})) == [2]
assert six.ensure_text(b'a') == six.ensure_str('a') == 'a' and six.ensure_binary('\u00e9') == b'\xc3\xa9'
assert six.b('\xe9') == b'\xe9' and six.u('a') == 'a' and six.int2byte(1) == b'\x01' and six.byte2int(b'\x01') == 1
assert six.BytesIO is io.BytesIO and six.next(iter([1])) == 1 and six.unichr(97) == 'a'
class Meta(type): pass
class WithMeta(six.with_metaclass(Meta, dict)): pass
assert type(WithMeta) is Meta and WithMeta.__mro__[1] is dict, WithMeta.__mro__
@six.add_metaclass(Meta)
class Added(object): x = 1
assert type(Added) is Meta and Added.x == 1
assert six.python_2_unicode_compatible(Added) is Added
for bad in ('six.moves.nothing', 'six.moves.urllib.nothing'):
    try: __import__(bad)
    except ImportError: pass
    else: raise AssertionError(bad)
try: six.moves.nothing
except AttributeError as error: assert str(error) == 'six.moves has no nothing', error
try: six.ensure_text(1)
except TypeError: pass
try: six.reraise(ValueError, ValueError('x'), None)
except ValueError as error: assert str(error) == 'x'
"""


class SixTest(unittest.TestCase):
    def run_python(self, path, code):
        environment = dict(support.python_environment(), PYTHONPATH=os.pathsep.join(path))
        # Without site-packages, where a real six may be.
        process = subprocess.Popen(
            [sys.executable, "-S", "-W", "error", "-c", code], env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        output = process.communicate()[0].decode("utf-8")
        self.assertEqual((process.returncode, output), (0, ""))

    def test_stand_in(self):
        self.run_python([os.path.join(support.PACKAGE, "fallback")], "import sys\nimport six\n" + LINES)

    def test_only_where_there_is_none(self):
        self.run_python([support.PACKAGE], (
            "from scalyr_agent import _loader\n"
            "try: import six\n"
            "except ImportError: pass\n"
            "else: raise AssertionError('found before anything was loaded')\n"
            "_loader.add_module_paths([])\n"
            "import os, six, sys\n"
            "assert six.__file__ == os.path.join(sys.path[-1], 'six.py')\n"))


if __name__ == "__main__":
    unittest.main()
