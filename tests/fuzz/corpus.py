"""Writes pickles of many kinds of object, as this Python makes them, for the fuzzer to start from."""

import collections
import datetime
import decimal
import pathlib
import pickle
import sys
import uuid

folder = pathlib.Path(sys.argv[1]) / "pickles"
folder.mkdir(parents=True, exist_ok=True)

ring = []
ring.append(ring)
shared = ["shared"]
knot = ([],)
knot[0].append(knot)
Point = collections.namedtuple("Point", "x y")
objects = [
    None, True, 0, 255, 70000, -1, 2**40, 2**100, -(2**100), 0.5, float("nan"), "", "text", "é漢🦀", b"", b"bytes",
    bytearray(b"array"), [], (), {}, set(), frozenset(), [1, 2, 3], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4),
    {"a": 1, "b": [2]}, {1, 2}, frozenset({1, 2}), [[]] * 3, [shared, shared], ring, knot, {"me": ring},
    datetime.datetime(2024, 1, 2), decimal.Decimal("1.5"), uuid.UUID(int=7), collections.OrderedDict(a=1),
    collections.deque([1, 2], 5), ValueError("x"), Point(1, 2), collections.OrderedDict, range(3), 1j, slice(1),
    "put", "x" * 300, list(range(300)),
]
requests = [
    (None, "create", ("get_task_queue",), {}),
    ("get_task_queue", "put", ("put",), {}),
    ("get_task_queue", "put", ("x", True), {"timeout": 0.5}),
    ("get_task_queue", "put_many", ([{"a": 1}, {"a": 2}, shared, shared],), {}),
    ("get_task_queue", "get", (), {"block": False}),
]
Point.__qualname__ = "Point"
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    for number, thing in enumerate(objects + requests):
        (folder / f"{number}-{protocol}").write_bytes(pickle.dumps(thing, protocol))
