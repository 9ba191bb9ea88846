"""Gets what `objects_put.py` put under another Python, and compares with objects of its own."""

import hub
import objects

tasks = hub.connect().get_task_queue()
own = {name: (value, check) for name, value, check in objects.portable_objects('get_task_queue')}
count = 0
while True:
    name = tasks.get(timeout=20)
    if name is None:
        break
    try:
        back = tasks.get(timeout=20)
        # Python 3.6 has no dataclasses, and some texts of repr() differ from version to version.
        if name in own:
            own[name][1](own[name][0], back)
            count += 1
    except Exception as error:
        raise AssertionError('%s: %r' % (name, error)) from error
assert count > 90, count
print('ok: %d kinds' % count)
