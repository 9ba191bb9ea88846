"""Puts as fast as it can into the queue that the command line names, and goes on when the hub is started again.

    python3 store_putter.py HOST:PORT AUTHKEY QUEUE

Prints each item whose put was answered. Ends once there is something in the queue `stop`.
"""

import sys
import time
from multiprocessing.managers import BaseManager, BaseProxy

host, port = sys.argv[1].rsplit(':', 1)
name = sys.argv[3]


class Manager(BaseManager):
    pass


Manager.register(name)
Manager.register('stop')
manager = Manager(address=(host, int(port)), authkey=sys.argv[2].encode())


def connected():
    while True:
        try:
            BaseProxy._address_to_local.clear()
            manager.connect()
            return getattr(manager, name)(), manager.stop()
        except (EOFError, OSError):
            time.sleep(0.01)


items, stop = connected()
number = 0
while True:
    item = 'python-%d' % number
    number += 1
    try:
        items.put(item)
        print(item, flush=True)
        if number % 50 == 0 and not stop.empty():
            break
    except (EOFError, OSError):
        items, stop = connected()
print('ok')
