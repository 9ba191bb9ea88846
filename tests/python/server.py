"""A hub in pure CPython, with the typeids that the tests use: what netq is compared with, and serves clients.

    python3 server.py AUTHKEY      prints `HOST:PORT`, then serves until it is killed or told to shut down
"""

import queue
import sys
import threading
from multiprocessing.managers import SyncManager


class Counter:
    """An object with a method that takes keywords, one that fails and one that echoes."""

    def __init__(self):
        self.total = 0

    def add(self, amount=1, times=1):
        self.total += amount * times
        return self.total

    def value(self):
        return self.total

    def echo(self, item, option=None):
        return item, option

    def fail(self, text):
        raise RuntimeError(text)

    def lock(self):
        return threading.Lock()

    def spare(self, total=0):
        counter = Counter()
        counter.add(total)
        return counter


class Manager(SyncManager):
    pass


def shared(typeid, instance):
    Manager.register(typeid, callable=lambda: instance)


shared('get_task_queue', queue.Queue())
shared('get_result_queue', queue.Queue())
shared('get_small_queue', queue.Queue(1))
counter = Counter()
Manager.register('get_counter', callable=lambda: counter, method_to_typeid={'spare': 'Spare'})
Manager.register('Spare')

if __name__ == '__main__':
    server = Manager(('127.0.0.1', 0), sys.argv[1].encode()).get_server()
    print('%s:%d' % server.address, flush=True)
    try:
        server.serve_forever()
    finally:
        print('ok')
