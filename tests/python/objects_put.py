"""Puts one object of each kind, by its name, for `objects_get.py` under another Python."""

import hub
import objects

tasks = hub.connect().get_task_queue()
for name, value, check in objects.portable_objects('get_task_queue'):
    tasks.put(name)
    tasks.put(value)
tasks.put(None)
print('ok')
