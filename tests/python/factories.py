"""Queues made on demand, their references, and proxies in threads, in child processes and in queues."""

import gc
import multiprocessing
import queue
import sys
import threading
from multiprocessing.managers import AutoProxy

import hub


def put(proxy, item):
    proxy.put(item)


def pass_on(source, target):
    target.put(('passed on', source.get(timeout=20)))


def main():
    manager = hub.connect()
    tasks = manager.get_task_queue()
    tasks.put('counted')
    assert tasks.get() == 'counted'
    before = manager._number_of_objects()

    # Each call makes a new one, with arguments by position and by keyword.
    first, second, endless = manager.Queue(1), manager.Queue(maxsize=2), manager.Queue()
    joinable = manager.JoinableQueue(1)
    assert len({proxy._token.id for proxy in (first, second, endless, joinable)}) == 4
    assert manager._number_of_objects() == before + 4
    first.put('in the first')
    hub.raises(queue.Full, first.put_nowait, 'more')
    second.put(1)
    second.put(2)
    hub.raises(queue.Full, second.put_nowait, 3)
    for number in range(100):
        endless.put_nowait(number)
    assert [endless.get() for _ in range(100)] == list(range(100))
    hub.raises(queue.Full, lambda: [joinable.put_nowait(number) for number in range(2)])
    assert joinable.get() == 0
    joinable.task_done()
    assert first.get() == 'in the first'

    # What one may ask about them
    information = manager._debug_info()
    assert first._token.id in information and 'refcount=' in information, information
    assert isinstance(str(first), str) and str(first).startswith('<'), str(first)
    assert 'Queue' in repr(first)
    assert first._callmethod('__repr__') == str(first)
    # A proxy made of a token alone asks for its methods.
    again = AutoProxy(second._token, 'pickle', authkey=hub.authkey)
    assert (again.qsize(), again.get(), again.get(), again.empty()) == (2, 1, 2, True)
    del again

    # join() waits for task_done(), and for no longer.
    for number in range(1):
        joinable.put(number)
    joined = threading.Event()

    def wait():
        joinable.join()
        joined.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert joinable.get() == 0
    assert not joined.is_set()
    joinable.task_done()
    assert joined.wait(20)
    waiting.join()

    # Gone with their last proxies
    del first, second, wait
    gc.collect()
    assert manager._number_of_objects() == before + 2
    del joinable, waiting
    gc.collect()
    assert manager._number_of_objects() == before + 1

    # Threads share a proxy, each over a connection of its own.
    threads = [
        threading.Thread(target=lambda base=base: [endless.put(base + number) for number in range(25)])
        for base in range(0, 100, 25)
    ]
    got = []
    threads += [threading.Thread(target=lambda: [got.append(endless.get(timeout=20)) for _ in range(25)])
                for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == list(range(100)), got

    # Child processes: a forked one inherits the proxy, a spawned one gets it pickled.
    for method in ('fork', 'spawn'):
        context = multiprocessing.get_context(method)
        child = context.Process(target=put, args=(endless, 'from a child by ' + method))
        child.start()
        assert endless.get(timeout=20) == 'from a child by ' + method
        child.join(20)
        assert child.exitcode == 0
    source = manager.Queue()
    child = multiprocessing.get_context('fork').Process(target=pass_on, args=(source, endless))
    child.start()
    source.put('item')
    assert endless.get(timeout=20) == ('passed on', 'item')
    child.join(20)
    assert child.exitcode == 0
    assert manager._number_of_objects() == before + 2

    # A proxy is an item like any other: what arrives refers to the same queue. (A server of Python 3.8 and
    # older cannot take one: https://bugs.python.org/issue30256.)
    if hub.netq or sys.version_info >= (3, 9):
        reply = manager.Queue()
        tasks.put({'reply to': reply})
        arrived = tasks.get()['reply to']
        assert arrived is not reply and arrived._token.id == reply._token.id
        arrived.put('an answer')
        assert reply.get(timeout=20) == 'an answer'
        del reply
        gc.collect()
        arrived.put('still there, for the sake of the second proxy')
        assert arrived.qsize() == 1
        del arrived
    del source
    gc.collect()
    # (CPython's own server unpickles the proxy that it queues, and keeps the object for good.)
    if hub.netq:
        assert manager._number_of_objects() == before + 1
    print('ok')


if __name__ == '__main__':
    main()
