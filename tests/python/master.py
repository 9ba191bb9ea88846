"""The crawler's master: gives tasks to workers of any kind, and sees that each is answered exactly once.

Arguments: the number of tasks and the number of workers, each of which is told to stop by a None.
"""

import hub

count, workers = map(int, hub.arguments)
manager = hub.connect()
tasks, results = manager.get_task_queue(), manager.get_result_queue()
for number in range(count):
    tasks.put((number, 'https://example.org/%d' % number))
answers, helpers = {}, set()
for _ in range(count):
    number, length, worker = results.get(timeout=60)
    assert number not in answers, 'task %d was answered twice' % number
    answers[number] = length
    helpers.add(worker)
for _ in range(workers):
    tasks.put(None)
assert answers == {number: len('https://example.org/%d' % number) for number in range(count)}
for _ in range(workers):
    assert results.get(timeout=60) == 'stopped'
assert tasks.empty() and results.empty()
print('ok: %s' % ', '.join(sorted(helpers)))
