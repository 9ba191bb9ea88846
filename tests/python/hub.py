"""Connects to the hub that the command line names, with nothing but `multiprocessing.managers`.

    python3 SCRIPT.py HOST:PORT AUTHKEY [--protocol=N] [--netq] [ARGUMENT...]

`--protocol=5` pickles as Python 3.14 does. `--netq` says that the hub is netq and not CPython's own manager
server, where the two differ on purpose: netq's errors name the fix.
"""

import sys
from multiprocessing import current_process
from multiprocessing.managers import SyncManager
from multiprocessing.reduction import ForkingPickler


class Manager(SyncManager):
    pass


for typeid in (
    'get_task_queue', 'get_result_queue', 'get_small_queue', 'get_counter', 'get_nothing',
):
    Manager.register(typeid)

options = [word for word in sys.argv[1:] if word.startswith('--')]
words = [word for word in sys.argv[1:] if not word.startswith('--')]
host, port = words[0].rsplit(':', 1)
address, authkey, arguments = (host, int(port)), words[1].encode(), words[2:]
netq = '--netq' in options

for option in options:
    if option.startswith('--protocol='):
        chosen = int(option.split('=')[1])
        dumps = ForkingPickler.dumps
        ForkingPickler.dumps = classmethod(lambda cls, obj, protocol=None: dumps(obj, chosen))


def connect(authkey=authkey):
    """A connected manager. Proxies that arrive as items take their key from the current process."""
    current_process().authkey = authkey
    manager = Manager(address, authkey)
    manager.connect()
    return manager


def raises(expected, function, *args, **kwds):
    """Calls, and returns the exception, which must be of exactly the expected type."""
    try:
        result = function(*args, **kwds)
    except Exception as error:
        assert type(error) is expected, 'expected %s, not %r' % (expected.__name__, error)
        return error
    raise AssertionError('expected %s, not the result %r' % (expected.__name__, result))
