"""Every kind of object goes through a queue, as a positional and as a keyword argument, and is the same after."""

import hub
import objects

tasks = hub.connect().get_task_queue()
count = 0
for name, value, check in objects.all_objects(tasks._token.id):
    try:
        tasks.put(value)
        check(value, tasks.get())
        tasks.put(item=value, timeout=5)
        check(value, tasks.get(True, timeout=5))
        # Behind other objects of the same pickle: what the memo holds by then has to be told apart.
        tasks.put({'put': [name, value, name], 'more': (value,)})
        back = tasks.get()
        assert back['put'][0] == back['put'][2] == name
        check(value, back['put'][1])
        check(value, back['more'][0])
    except Exception as error:
        raise AssertionError('%s: %r' % (name, error)) from error
    count += 1
assert tasks.qsize() == 0
assert count > 100, count

# All at once, so that objects of many kinds wait in the queue together, and in order.
sent = list(objects.all_objects(tasks._token.id))
for name, value, check in sent:
    tasks.put((name, value))
assert tasks.qsize() == len(sent)
for name, value, check in sent:
    back = tasks.get()
    assert back[0] == name
    check(value, back[1])
print('ok: %d kinds' % count)
