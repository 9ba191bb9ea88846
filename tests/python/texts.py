"""Objects of well-known classes, each with its bytes or what `str()` gives for it, in pickles of all protocols."""

import datetime
import decimal
import os
import pickle
import random
import uuid
from multiprocessing.reduction import ForkingPickler

import hub

choose = random.Random(6)
number = lambda: choose.choice([0, 1, -1, choose.randrange(-2 ** 40, 2 ** 40)])
real = lambda: choose.choice([0.0, -0.0, 1.0, -2.5, 1e300, 1e16, 5e-324, float('inf'), float('nan'), choose.random()])
some = lambda most: choose.choice([0, most - 1, choose.randrange(most)])


def zone():
    offset = datetime.timedelta(minutes=choose.randrange(-1439, 1440))
    if hub.sys.version_info >= (3, 7):
        offset += datetime.timedelta(seconds=choose.choice([0, 0, 1]), microseconds=choose.choice([0, 0, 7]))
    return choose.choice([None, None, datetime.timezone.utc, datetime.timezone(offset), datetime.timezone(offset, 'x')])


def time():
    return some(24), some(60), some(60), some(1000000), zone()


def objects():
    """One of each kind."""
    date = datetime.date.fromordinal(1 + some(datetime.date.max.toordinal()))
    day = (date.year, date.month, date.day)
    yield decimal.Decimal(choose.choice(['3.14', '-0', '1E+400', 'NaN', '-Infinity', str(number())]))
    yield date
    yield datetime.datetime(*day, *time(), fold=some(2))
    yield datetime.time(*time(), fold=some(2))
    yield datetime.timedelta(some(1000) - 500, some(86400), some(1000000))
    yield choose.choice([datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(-1), datetime.timedelta(1)])
    yield uuid.UUID(int=choose.choice([0, 1, 2 ** 63, 2 ** 128 - 1, choose.getrandbits(128)]))
    yield uuid.uuid1()
    yield complex(real(), real())
    yield bytearray(choose.getrandbits(8) for _ in range(some(9)))
    yield choose.choice([range(number()), range(number(), number(), 1 + abs(number())), range(0, 9, -2)])
    yield Ellipsis
    yield bytes(choose.getrandbits(8) for _ in range(some(9)))
    yield os.fsdecode(bytes(choose.getrandbits(8) for _ in range(some(9))))


protocol = 3
dumps = ForkingPickler.dumps
ForkingPickler.dumps = classmethod(lambda cls, obj, chosen=None: dumps(obj, protocol))
tasks = hub.connect().get_task_queue()
count = 0
for case in range(240):
    protocol = case % (pickle.HIGHEST_PROTOCOL + 1)
    for value in objects():
        tasks.put(value)
        # A file's name may be no text, and old protocols have no bytes.
        data = bytes(value) if isinstance(value, (bytes, bytearray)) else os.fsencode(str(value))
        tasks.put(data.decode('latin-1'))
        tasks.put('protocol %d: %r' % (protocol, value))
        count += 1
tasks.put(None)
print('ok: %d objects' % count)
