"""CPython's own hub, as its documentation shows it. Prints its port; ends with its standard input."""
import os, queue, sys, threading
from multiprocessing.managers import BaseManager

tasks = queue.Queue()


class Manager(BaseManager):
    pass


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


Manager.register("get_task_queue", callable=lambda: tasks)
server = Manager(address=("127.0.0.1", 0), authkey=b"benchmark").get_server()
threading.Thread(target=end_with_parent, daemon=True).start()
print(f"127.0.0.1:{server.address[1]}", flush=True)
server.serve_forever()
