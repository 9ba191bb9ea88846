"""Records what CPython's `multiprocessing.managers` puts on the wire, as text that a test can replay.

    python3.13 record.py python-3.13.txt
    python3.8  record.py python-3.8-to-3.13.txt --server python3.13

The interpreter that runs this file is the client; `--server` names the server's interpreter (the same one,
if it is left out). Between the two sits a relay that keeps every frame.

The format: `authkey` and the key; then, for each TCP connection in the order of their opening, a line
`connection` and the frames in the order of their passing, `C` from the client and `S` from the server, in
hexadecimal: the length, a space, the body. `61*20000` stands for 20,000 bytes of 0x61. `#` opens a comment,
which says what the program did to cause the next frame.

Two things are not as an unchanged server would send them, so that two recordings can be compared and a
replay needs no editing: a shared object's ident is its typeid instead of its address in memory, and the
paths in tracebacks say where Python usually is, not where it was on the recording machine.
"""

import argparse
import collections
import dataclasses
import datetime
import decimal
import gc
import os
import platform
import queue
import re
import socket
import struct
import subprocess
import sys
import threading
import uuid
from multiprocessing import AuthenticationError, current_process, managers
from multiprocessing.connection import Client

AUTHKEY = b'a key for recordings'


# ---- what is sent ----

Pair = collections.namedtuple('Pair', 'left right')


@dataclasses.dataclass
class Job:
    name: str
    cost: float = 0.5


class Page:
    def __init__(self, url):
        self.url, self.links = url, []

    def __eq__(self, other):
        return type(other) is Page and vars(self) == vars(other)


def objects():
    """Pairs of a name and an object. Those before 'set' are the ones that netq decodes into a `Value`."""
    yield 'None', None
    yield 'True', True
    yield 'False', False
    for number in (0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -2**31, 2**31, 2**63, -2**63, 2**100, -2**100):
        yield str(number), number
    for number in (0.0, -0.5, 1e300, float('inf')):
        yield str(number), number
    yield 'empty str', ''
    yield 'str', 'caf\u00e9 \U0001f980'
    yield 'empty bytes', b''
    yield 'bytes', bytes(range(256))
    yield 'empty containers', [[], (), {}]
    yield 'nested containers', {'a': [1, (2, 3), {'b': None}], 4: (5, 6, 7, 8)}
    yield 'tuples of 1, 2, 3', ((1,), (1, 2), (1, 2, 3))
    yield "the method's name", 'put'
    yield "the queue's typeid", 'get_task_queue'
    yield '20,000 letters', 'a' * 20000
    yield 'set', {1, 2, 3}
    yield 'frozenset', frozenset([1])
    yield 'bytearray', bytearray(b'bytes')
    yield 'complex', 1 + 2j
    yield 'namedtuple', Pair(1, [2])
    yield 'dataclass', Job('crawl')
    yield 'instance', Page('https://example.org/')
    yield 'class', Page
    yield 'function', len
    yield 'datetime', datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
    yield 'Decimal', decimal.Decimal('3.14')
    yield 'UUID', uuid.UUID(int=7)
    yield 'OrderedDict', collections.OrderedDict(b=1, a=2)
    yield 'deque', collections.deque([1, 2], 5)
    yield 'exception', KeyError('missing')
    twice = [1]
    yield 'one list, twice', [twice, twice]
    knot = [1]
    knot.append(knot)
    yield 'a list in itself', knot


# ---- the server ----

class RecordedServer(managers.Server):
    def create(self, c, typeid, *args, **kwds):
        ident, exposed = super().create(c, typeid, *args, **kwds)
        with self.mutex:
            self.id_to_obj[typeid] = self.id_to_obj.pop(ident)
            count = self.id_to_refcount.pop(ident)
            self.id_to_refcount[typeid] = self.id_to_refcount.get(typeid, 0) + count
        return typeid, exposed


def serve():
    class ServerManager(managers.BaseManager):
        pass

    def register(typeid, shared):
        ServerManager.register(typeid, callable=lambda: shared)

    register('get_task_queue', queue.Queue())
    register('get_small_queue', queue.Queue(1))
    register('get_joinable_queue', queue.Queue())
    format_exc = managers.format_exc

    def anonymous():
        text = format_exc().replace(sys.base_prefix, '/usr')
        return text.replace(os.path.dirname(os.path.abspath(__file__)) + os.sep, '')

    managers.format_exc = anonymous
    server = RecordedServer(ServerManager._registry, ('127.0.0.1', 0), AUTHKEY, 'pickle')
    print(server.address[1], flush=True)
    server.serve_forever()


# ---- the relay ----

class Relay:
    """Passes frames between clients and the server, and keeps them with the notes that explain them."""

    def __init__(self, port):
        self.port = port
        self.lock = threading.Lock()
        self.connections = []
        self.pending = []
        self.pumps = []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def note(self, text):
        with self.lock:
            self.pending.append('# ' + text)

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            server = socket.create_connection(('127.0.0.1', self.port))
            lines = []
            for ends in (('C', client, server), ('S', server, client)):
                ends[1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pump = threading.Thread(target=self.pump, args=ends + (lines,), daemon=True)
                self.pumps.append(pump)
            self.connections.append(lines)
            for pump in self.pumps[-2:]:
                pump.start()

    def pump(self, direction, source, target, lines):
        try:
            while True:
                head = read(source, 4)
                body = read(source, struct.unpack('!i', head)[0])
                with self.lock:
                    if direction == 'C':
                        # The handshake opens with the server's frame: what is noted was the cause of both.
                        lines.extend(self.pending)
                        self.pending.clear()
                    elif not lines:
                        lines.extend(self.pending)
                        self.pending.clear()
                    lines.append('%s %s %s' % (direction, head.hex(), squeezed(body)))
                target.sendall(head + body)
        except (EOFError, OSError):
            try:
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def finish(self):
        """Waits until all connections have ended, and returns the recording's lines."""
        for pump in self.pumps:
            pump.join(10)
            assert not pump.is_alive(), 'a connection is still open'
        for lines in self.connections:
            yield ''
            yield 'connection'
            yield from lines


def read(source, count):
    data = b''
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def squeezed(body):
    """Hexadecimal, with runs of 64 equal bytes and more written as a byte and a count."""
    parts, end = [], 0
    for run in re.finditer(rb'(?s)(.)\1{63,}', body):
        parts += [body[end:run.start()].hex(), '%02x*%d' % (run.group(1)[0], len(run.group()))]
        end = run.end()
    return ' '.join(filter(None, parts + [body[end:].hex()]))


# ---- the client ----

class Manager(managers.BaseManager):
    pass


for typeid in ('get_task_queue', 'get_small_queue', 'get_joinable_queue', 'get_nothing'):
    Manager.register(typeid)


def program(address, note):
    def raises(expected, text, function, *args, **kwds):
        note('%s: %s' % (text, expected.__name__))
        try:
            function(*args, **kwds)
        except expected:
            return
        raise AssertionError('%s did not raise %s' % (text, expected.__name__))

    current_process().authkey = AUTHKEY
    m = Manager(address, AUTHKEY)
    note('m.connect()')
    m.connect()
    raises(AuthenticationError, 'm.connect() with a wrong key', Manager(address, b'wrong').connect)
    raises(managers.RemoteError, 'm.get_nothing()', m.get_nothing)

    note('tasks = m.get_task_queue()')
    tasks = m.get_task_queue()
    for name, item in objects():
        note('tasks.put(%s)' % name)
        tasks.put(item)
        note('tasks.get()')
        back = tasks.get()
        assert type(back) is type(item), name
        if name == 'one list, twice':
            assert back[0] is back[1]
        if name == 'a list in itself':
            assert back[1] is back
        elif name != 'exception':
            assert back == item, name

    note("tasks.put(item='by name', block=True, timeout=None)")
    tasks.put(item='by name', block=True, timeout=None)
    note('tasks.get(block=True, timeout=5)')
    assert tasks.get(block=True, timeout=5) == 'by name'
    note("tasks.put_nowait('at once')")
    tasks.put_nowait('at once')
    note('tasks.get_nowait()')
    assert tasks.get_nowait() == 'at once'
    raises(queue.Empty, 'tasks.get_nowait()', tasks.get_nowait)
    raises(queue.Empty, 'tasks.get(False)', tasks.get, False)
    raises(queue.Empty, 'tasks.get(timeout=0.01)', tasks.get, timeout=0.01)
    raises(ValueError, 'tasks.get(timeout=-1)', tasks.get, timeout=-1)
    raises(TypeError, 'tasks.put()', tasks.put)
    raises(TypeError, 'tasks.put(1, 2, 3, 4)', tasks.put, 1, 2, 3, 4)
    raises(TypeError, 'tasks.get(bogus=1)', tasks.get, bogus=1)
    raises(TypeError, "tasks.get(timeout='soon')", tasks.get, timeout='soon')
    raises(managers.RemoteError, "tasks._callmethod('nope')", tasks._callmethod, 'nope')
    note('tasks.qsize(), tasks.empty(), tasks.full(), str(tasks)')
    assert (tasks.qsize(), tasks.empty(), tasks.full()) == (0, True, False)
    assert str(tasks).startswith('<')

    note('small = m.get_small_queue(), of one item')
    small = m.get_small_queue()
    note('small.put(1)')
    small.put(1)
    raises(queue.Full, 'small.put_nowait(2)', small.put_nowait, 2)
    raises(queue.Full, 'small.put(2, False)', small.put, 2, False)
    raises(queue.Full, 'small.put(2, True, 0.01)', small.put, 2, True, 0.01)
    raises(ValueError, 'small.put(2, timeout=-1)', small.put, 2, timeout=-1)
    note('small.full()')
    assert small.full()

    note('joinable = m.get_joinable_queue()')
    joinable = m.get_joinable_queue()
    note('joinable.put(1), .get(), .task_done(), .join()')
    joinable.put(1)
    assert joinable.get() == 1
    joinable.task_done()
    joinable.join()
    raises(ValueError, 'joinable.task_done()', joinable.task_done)
    if sys.version_info >= (3, 13):
        note('joinable.shutdown()')
        joinable.shutdown()
        raises(queue.ShutDown, 'joinable.get()', joinable.get)
        raises(queue.ShutDown, 'joinable.put(1)', joinable.put, 1)

    note("tasks.put('from a thread'), tasks.get() in a second thread, which has a connection of its own")
    thread = threading.Thread(target=lambda: (tasks.put('from a thread'), tasks.get()))
    thread.start()
    thread.join()

    note('m._number_of_objects()')
    assert m._number_of_objects() == 3
    note('m._debug_info()')
    m._debug_info()
    note('del joinable')
    del joinable
    gc.collect()
    note('del small, tasks')
    del small, tasks, thread
    gc.collect()
    note("what a manager's own shutdown() sends")
    with Client(address, authkey=AUTHKEY) as conn:
        managers.dispatch(conn, None, 'shutdown')


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument('output', nargs='?')
    arguments.add_argument('--server', default=sys.executable)
    arguments.add_argument('--serve', action='store_true', help=argparse.SUPPRESS)
    arguments = arguments.parse_args()
    if arguments.serve:
        return serve()
    with subprocess.Popen([arguments.server, __file__, '--serve'], stdout=subprocess.PIPE, text=True) as server:
        try:
            version = subprocess.check_output([arguments.server, '--version'], text=True).split()[1]
            relay = Relay(int(server.stdout.readline()))
            program(relay.address, relay.note)
            lines = [
                '# client: Python %s; server: Python %s' % (platform.python_version(), version),
                'authkey ' + AUTHKEY.hex(),
            ]
            lines += relay.finish()
        finally:
            server.kill()
    with open(arguments.output, 'w') as output:
        output.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
