"""Gets what `objects_put.py` put under another Python, and compares with objects of its own.

    --results    from the result queue, where a Rust program put what it got: lists that it could read are two
                 lists then, where there was one twice
"""

import hub
import objects

results = '--results' in hub.options
manager = hub.connect()
tasks = manager.get_result_queue() if results else manager.get_task_queue()
own = {name: (value, check) for name, value, check in objects.portable_objects('get_task_queue')}
count = 0
while True:
    name = tasks.get(timeout=20)
    if name is None:
        break
    try:
        back = tasks.get(timeout=20)
        # Some texts of repr() differ from version to version.
        if name in own and not (results and name.endswith(', twice')):
            own[name][1](own[name][0], back)
            count += 1
    except Exception as error:
        raise AssertionError('%s: %r' % (name, error)) from error
assert count > 90, count
print('ok: %d kinds' % count)
