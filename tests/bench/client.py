"""A program as the documentation shows it, with a clock. Prints the medians of what its steps took, in ms:
connect(), get_task_queue(), put() and get() of 20 KB."""
import sys, time
from multiprocessing.managers import BaseManager
from statistics import median


class Manager(BaseManager):
    pass


Manager.register("get_task_queue")


def timed(function, seconds, at_least):
    """The median time of a call in ms, over as many calls as there is time for."""
    times = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or time.perf_counter() < end and len(times) < 2000:
        before = time.perf_counter()
        function()
        times.append((time.perf_counter() - before) * 1000)
    return median(times)


port, seconds = int(sys.argv[1]), float(sys.argv[2])
manager = Manager(address=("127.0.0.1", port), authkey=b"benchmark")
connect = timed(manager.connect, seconds, 3)
# Kept: dropping a proxy talks to the server as well, which is not part of the time.
proxies = []
get_queue = timed(lambda: proxies.append(manager.get_task_queue()), seconds, 3)
tasks = proxies.pop()
item = b"x" * 20_000


def pair():
    tasks.put(item)
    assert len(tasks.get()) == len(item)


pair()
print(connect, get_queue, timed(pair, seconds, 3))
