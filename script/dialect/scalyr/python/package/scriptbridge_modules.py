"""Where modules are looked for."""

import os


def put_first(package, folders):
    """Has the modules of scalyr_agent.builtin_monitors looked for in users' folders first, in order.

    A folder may hold them by themselves, or in a tree like the agent's own.
    """
    paths = []
    for folder in folders:
        tree = os.path.join(folder, "scalyr_agent", "builtin_monitors")
        paths += [tree, folder] if os.path.isdir(tree) else [folder]
    package.__path__[:] = paths + [path for path in package.__path__ if path not in paths]
