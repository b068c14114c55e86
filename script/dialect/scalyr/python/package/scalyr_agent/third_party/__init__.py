"""The libraries that the agent brought along: each is the interpreter's own here.

scalyr_agent.third_party.NAME is the module NAME, where it can be imported.
"""

import importlib
import importlib.machinery
import sys

# What is no library of anybody else's.
_OF_THE_AGENT = ("tcollector",)


class _Finder(object):
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if not fullname.startswith(__name__ + "."):
            return None
        return importlib.machinery.ModuleSpec(fullname, _Finder)

    @staticmethod
    def create_module(spec):
        name = _real(spec.name)
        if name.partition(".")[0] in _OF_THE_AGENT:
            raise ModuleNotFoundError("No module named '%s'" % spec.name, name=spec.name)
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise  # something that the library itself lacks
            raise ModuleNotFoundError(
                "No module named '%s', which %s stands for" % (error.name, spec.name), name=error.name)
        return None

    @staticmethod
    def exec_module(module):
        sys.modules[module.__name__] = sys.modules[_real(module.__name__)]


def _real(fullname):
    return fullname[len(__name__) + 1:]


# Before the one that would find the parts of a library by its folder, a second time.
sys.meta_path.insert(0, _Finder)
