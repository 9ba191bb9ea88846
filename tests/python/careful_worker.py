"""A worker as anybody would write it, which the test kills between any two of its lines."""

import queue
import time

import hub

manager = hub.connect()
tasks, results = manager.get_task_queue(), manager.get_result_queue()
while True:
    try:
        task = tasks.get(timeout=0.5)
    except queue.Empty:
        break
    print('got', task)
    time.sleep(0.001)
    results.put(task)
    print('put', task)
    tasks.task_done()
    print('done', task)
print('ok')
