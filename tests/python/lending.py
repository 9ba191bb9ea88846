"""Takes items on loan, and says by their tags what became of them. The queue is given by its typeid."""

import threading

import hub
from queue import Empty, Full

typeid = hub.arguments[0]
hub.Manager.register(typeid)
manager = hub.connect()


def proxy():
    return getattr(manager, typeid)()


def elsewhere(function, *args):
    """Calls in another thread, and so by another connection."""
    box = []
    thread = threading.Thread(target=lambda: box.append(function(*args)))
    thread.start()
    thread.join()
    return box[0]


tasks = proxy()
tasks.put_many(['bad', 'slow', 'good', 'late'])
[(bad, item)] = tasks.lend()
assert item == 'bad' and isinstance(bad, str), (bad, item)
loans = tasks.lend(2, timeout=5)
assert [item for tag, item in loans] == ['slow', 'good'], loans
slow, good = [tag for tag, item in loans]

# In any order, from any connection, and once.
assert tasks.task_done(good) is True
assert elsewhere(tasks.task_done, slow) is True
assert tasks.task_done(slow) is False
assert tasks.touch(good) is False and tasks.touch(bad) is True
assert tasks.touch() is True

# What is given back has its old place, and its tag has ended.
assert tasks.give_back(bad) is True
assert tasks.give_back([bad, good]) == 0
assert tasks.touch(tag=bad) is False
[(again, item)] = tasks.lend(max_items=1)
assert item == 'bad' and again != bad, (item, again, bad)

# It may rest for a while, and holds nobody up meanwhile.
assert tasks.task_failed(again, delay=0.5) is True
assert tasks.task_failed(again) is False
[(late, item)] = tasks.lend()
assert item == 'late' and tasks.task_done(late), item
[(again, item)] = tasks.lend(timeout=10)
assert item == 'bad', item

# A late success is one: by the first tag of the item, wherever it is by now.
assert tasks.task_done(bad) is True
assert tasks.task_done([again, good]) == 0

# What a connection leaves behind comes back.
tasks.put('left')
left = elsewhere(lambda: proxy().lend()[0][0])
[(tag, item)] = tasks.lend(timeout=10)
assert item == 'left', item
assert tasks.task_done(tag=left) is True
assert elsewhere(tasks.touch) is False

# The end of a second proxy, made for one call, is not the end of the first one's connection and loans.
tasks.put_many(['at work', 'waiting'])
assert tasks.get() == 'at work'
assert proxy().qsize() == 1
assert len({tasks._token.id, proxy()._token.id, proxy()._token.id}) == 3
tasks.task_done()
assert tasks.get() == 'waiting'
tasks.task_done()

# A plain task_done() means the latest get(), also when something that was lent before is not done.
tasks.put_many(['lent', 'got'])
[(lent, item)] = tasks.lend()
assert tasks.get() == 'got'
tasks.task_done()
assert tasks.touch(lent) is True
assert tasks.task_done(lent) is True
tasks.join()

# A queue that redelivers or not: what is lent is finished by a plain task_done() too.
tasks.put_many(['a', 'b'])
tasks.lend(2)
tasks.task_done(2)
tasks.join()

for wrong in ('', 'nonsense', bad + '0', '0.0.00000000', '0.99.' + bad.split('.')[2]):
    for method in (tasks.task_done, tasks.task_failed, tasks.give_back, tasks.touch):
        error = hub.raises(ValueError, method, wrong)
        assert str(error).startswith('no such delivery'), error
hub.raises(TypeError, tasks.give_back)
hub.raises(TypeError, tasks.give_back, 7)
hub.raises(TypeError, tasks.touch, [7])
hub.raises(TypeError, tasks.task_failed, bad, 'soon')
hub.raises(ValueError, tasks.task_failed, bad, -1)
hub.raises(ValueError, tasks.task_failed)
hub.raises(ValueError, tasks.lend, 0)
hub.raises(Empty, tasks.lend, 3, False)

# Puts that are repeated happen once.
for attempt in range(2):
    tasks.put('one', once=('client', 1))
    tasks.put(item='two', once=('other', 1))
for attempt in range(2):
    assert tasks.put_many(['three', 'four'], once=['client', 2]) == 2
hub.raises(ValueError, tasks.put, 'one', once=('client', 1))
items = [item for tag, item in tasks.lend(100)]
assert items == ['one', 'two', 'three', 'four'], items
tasks.task_done(len(items))
for wrong in (7, (), ('client',), ('client', 'one'), (b'client', 1), ('x' * 65, 1), ('client', 1, 2)):
    hub.raises(ValueError, tasks.put, 'item', once=wrong)
tasks.put('item', once=None)
[(tag, item)] = tasks.lend()
assert tasks.task_done(tag) is True

# And one that failed can be tried again.
small = manager.Queue(1)
small.put('first')
hub.raises(Full, small.put, 'second', False, once=('client', 1))
assert small.put_many(['second', 'third'], timeout=0.01, once=('client', 2)) == 0
small.get()
small.put('second', once=('client', 3))
assert small.get() == 'second'
print('ok')
