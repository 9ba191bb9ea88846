"""The crawler's worker: "crawls" until it gets a None."""

import platform

import hub

manager = hub.connect()
tasks, results = manager.get_task_queue(), manager.get_result_queue()
name = 'Python ' + platform.python_version()
while True:
    task = tasks.get()
    if task is None:
        break
    number, url = task
    results.put((number, len(url), name))
results.put('stopped')
print('ok')
