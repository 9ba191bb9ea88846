"""What goes wrong has Python's type and, where Python's text is part of its meaning, Python's text."""

import multiprocessing
import queue
import sys
import time
from multiprocessing.managers import RemoteError

import hub

manager = hub.connect()
tasks = manager.get_task_queue()
small = manager.get_small_queue()


def raises(expected, text, function, *args, **kwds):
    error = hub.raises(expected, function, *args, **kwds)
    assert str(error) == text, 'expected %r, not %r' % (text, str(error))


def waits(seconds, expected, function, *args, **kwds):
    start = time.monotonic()
    raises(expected, '', function, *args, **kwds)
    elapsed = time.monotonic() - start
    assert seconds <= elapsed + 0.005 and elapsed < seconds + 5, elapsed


# Empty and Full
for arguments in ((False,), (False, 5), (False, -1), (0,), (None,), ('',), ([],), (0.0, None)):
    raises(queue.Empty, '', tasks.get, *arguments)
raises(queue.Empty, '', tasks.get_nowait)
raises(queue.Empty, '', tasks.get, block=False)
waits(0.1, queue.Empty, tasks.get, True, 0.1)
waits(0.1, queue.Empty, tasks.get, timeout=0.1)
waits(0, queue.Empty, tasks.get, timeout=0)
small.put('the only item')
raises(queue.Full, '', small.put_nowait, 'one more')
raises(queue.Full, '', small.put, 'one more', False)
raises(queue.Full, '', small.put, 'one more', block=False, timeout=-1)
waits(0.1, queue.Full, small.put, 'one more', True, 0.1)
waits(0.1, queue.Full, small.put, item='one more', timeout=0.1)
assert small.full() and not small.empty() and small.qsize() == 1
assert small.get() == 'the only item'

# What a queue does not accept
negative = "'timeout' must be a non-negative number"
for timeout in (-1, -0.5):
    raises(ValueError, negative, tasks.get, timeout=timeout)
    raises(ValueError, negative, small.put, 1, True, timeout)
assert tasks.qsize() == small.qsize() == 0
for arguments, keywords in (
    ((), {}), ((1, 2, 3, 4), {}), ((1,), {'bogus': 1}), ((1,), {'item': 2}), ((1, True, 'soon'), {}),
):
    # Into the queue that holds one item: with an item in it, the timeout is looked at.
    small.put('the only item')
    hub.raises(TypeError, small.put, *arguments, **keywords)
    assert small.get() == 'the only item'
for arguments, keywords in (((1, 2, 3), {}), ((), {'bogus': 1}), ((), {'timeout': 'soon'}), ((True,), {'block': True})):
    hub.raises(TypeError, tasks.get, *arguments, **keywords)
hub.raises(TypeError, tasks.qsize, 1)
hub.raises(TypeError, tasks.get_nowait, 1)
hub.raises(TypeError, tasks.task_done, 1, 2)

# task_done
joinable = manager.JoinableQueue()
raises(ValueError, 'task_done() called too many times', joinable.task_done)
joinable.put(1)
joinable.task_done()
raises(ValueError, 'task_done() called too many times', joinable.task_done)

# What the hub does not have
error = hub.raises(RemoteError, manager.get_nothing)
assert 'get_nothing' in str(error), error
if hub.netq:
    assert 'get_task_queue' in str(error) and 'JoinableQueue' in str(error), error
error = hub.raises(RemoteError, tasks._callmethod, 'nope')
assert 'nope' in str(error), error
hub.raises(AttributeError, lambda: tasks.nope)
for private in ('mutex', '_put', '__class__', '__init__', 'not_empty'):
    hub.raises(RemoteError, tasks._callmethod, private)
# The connection outlives all of these.
tasks.put('still here')
assert tasks.get() == 'still here'

# Keys
error = hub.raises(multiprocessing.AuthenticationError, hub.connect, b'not the key')
assert 'rejected' in str(error), error
multiprocessing.current_process().authkey = hub.authkey

# Shutting a queue down
if sys.version_info >= (3, 13):
    closing = manager.Queue(3)
    closing.put('left')
    closing.shutdown()
    hub.raises(queue.ShutDown, closing.put, 1)
    hub.raises(queue.ShutDown, closing.put_nowait, 1)
    assert closing.get() == 'left'
    hub.raises(queue.ShutDown, closing.get)
    hub.raises(queue.ShutDown, closing.get_nowait)
    at_once = manager.Queue()
    at_once.put('dropped')
    at_once.shutdown(immediate=True)
    hub.raises(queue.ShutDown, at_once.get)
print('ok')
