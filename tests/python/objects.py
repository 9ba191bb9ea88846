"""Objects of many kinds, and what it means that one came back as it was sent."""

import array
import collections
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import math
import pathlib
import re
import types
import uuid

try:
    import dataclasses
except ImportError:  # Python 3.6
    dataclasses = None
try:
    import numpy
except ImportError:
    numpy = None

Pair = collections.namedtuple('Pair', 'left right')


class Page:
    """The usual instance: a __dict__, restored by BUILD."""

    def __init__(self, url):
        self.url, self.links, self.put = url, [], 'put'

    def __eq__(self, other):
        return type(other) is Page and vars(self) == vars(other)

    def title(self):
        return self.url


class Slots:
    __slots__ = ('a', 'b')

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __eq__(self, other):
        return type(other) is Slots and (self.a, self.b) == (other.a, other.b)


class Reduced:
    """Restored by a call, a state, list items and dict items: all that __reduce__ may return."""

    def __init__(self, key):
        self.key, self.items, self.pairs, self.state = key, [], {}, 'put'

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def __setitem__(self, key, value):
        self.pairs[key] = value

    def __reduce__(self):
        return Reduced, (self.key,), {'state': 'put'}, iter(self.items), iter(self.pairs.items())

    def __eq__(self, other):
        return type(other) is Reduced and vars(self) == vars(other)


class Stateful:
    def __init__(self, value):
        self.value = value

    def __getstate__(self):
        return ('state', self.value)

    def __setstate__(self, state):
        assert state[0] == 'state'
        self.value = state[1]

    def __eq__(self, other):
        return type(other) is Stateful and self.value == other.value


class NewArguments:
    """Rebuilt by NEWOBJ_EX: a __new__ with keywords."""

    def __new__(cls, left, *, right):
        self = super().__new__(cls)
        self.left, self.right = left, right
        return self

    def __getnewargs_ex__(self):
        return (self.left,), {'right': self.right}

    def __eq__(self, other):
        return type(other) is NewArguments and vars(self) == vars(other)


class Words(list):
    pass


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


if dataclasses:
    @dataclasses.dataclass
    class Job:
        name: str
        cost: float = 0.5
        parts: list = dataclasses.field(default_factory=list)


def same(sent, back):
    assert type(sent) is type(back), (type(sent), type(back))
    assert sent == back


def same_exception(sent, back):
    assert type(sent) is type(back)
    assert sent.args == back.args
    assert vars(sent) == vars(back)


def is_nan(sent, back):
    assert math.isnan(back)


def same_float(sent, back):
    assert math.copysign(1, sent) == math.copysign(1, back) and sent == back


def same_identity(sent, back):
    assert sent is back


def knot_list():
    knot = [1]
    knot.append(knot)

    def check(sent, back):
        assert len(back) == 2 and back[0] == 1 and back[1] is back
    return knot, check


def knot_dict():
    knot = {}
    knot['self'] = knot

    def check(sent, back):
        assert list(back) == ['self'] and back['self'] is back
    return knot, check


def knot_tuple():
    # Pickled with a POP: by the time that the tuple is built, its items have built it already.
    inner = []
    knot = (inner, 2)
    inner.append(knot)

    def check(sent, back):
        assert type(back) is tuple and back[1] == 2 and back[0][0] is back
    return knot, check


def knot_instance():
    page = Page('knot')
    page.links.append(page)

    def check(sent, back):
        assert type(back) is Page and back.links[0] is back
    return page, check


def one_list_twice():
    twice = ['one']

    def check(sent, back):
        assert back == [['one'], ['one'], {'again': ['one']}]
        assert back[0] is back[1] is back[2]['again']
    return [twice, twice, {'again': twice}], check


def equal_but_distinct():
    def check(sent, back):
        assert back == [['one'], ['one']] and back[0] is not back[1]
    return [['one'], ['one']], check


def many_shared():
    # More than 256 memo entries: LONG_BINGET.
    parts = [[number] for number in range(700)]

    def check(sent, back):
        assert back == parts + parts
        assert all(back[number] is back[number + 700] for number in range(700))
    return parts + parts, check


def reduced():
    value = Reduced('key')
    value.extend([1, [2]])
    value['a'] = 1
    return value


def deep():
    nested = 'bottom'
    for _ in range(150):
        nested = [nested]
    return nested


def builtin_objects(ident):
    """Built from nothing but what every Python has; `ident` is the proxy's own, already in the pickle's memo."""
    for value in (None, Ellipsis, NotImplemented, len, KeyError, dict):
        yield repr(value), value, same_identity
    for value in (True, False, 0, 1, 255, 256, 65535, 65536, -1, -128, 2**31 - 1, -2**31, 2**31, 2**63 - 1, 2**63,
                  -2**63, 2**100, -2**100, 2**2100, -2**2100, 1e300, 1.5, float('inf'), 1 + 2j):
        yield str(value)[:40], value, same
    yield '-0.0', -0.0, same_float
    yield 'nan', float('nan'), is_nan
    for value in ('', 'plain', 'caf\u00e9 \U0001f980 \0', '\ud800 a lone surrogate', 'x' * 255, 'x' * 256,
                  b'', bytes(range(256)), b'x' * 255, b'x' * 256):
        yield repr(value)[:40], value, same
    yield 'bytearray', bytearray(b'bytes'), same
    for size in (16384, 20000, 70000, 300000):
        yield '%d bytes' % size, bytes(range(250)) * (size // 250), same
        yield 'str of %d' % size, 'x\u00e9' * (size // 2), same
    for value in ([], (), {}, set(), frozenset(), [[], (), {}], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)):
        yield 'container %r' % (value,), value, same
    yield 'nested containers', {'a': [1, (2, {'b': [None, {3}]})], (1, 2): b'x', 4: frozenset([1, 'a'])}, same
    yield 'list of 5,000', list(range(5000)), same
    yield 'dict of 3,000', {number: str(number) for number in range(3000)}, same
    yield 'set of 3,000', set(range(3000)), same
    yield 'strings of a pickle', ['a\n.', b'\x80\x04.', '#RETURN', ('#RETURN', None), ('#TRACEBACK', 'x')], same
    for word in ('put', 'get', 'item', 'get_task_queue', ident):
        yield 'the word %r' % word, word, same
    yield 'those words as keys', {'put': 'item', 'item': ident, ident: 'put', 'get_task_queue': ['put', 'put']}, same
    yield 'range', range(1, 10, 2), same
    yield 'slice', slice(1, 2), same
    for error in (ValueError('a value', 2), KeyError('missing'), OSError(2, 'No such file'), StopIteration()):
        yield repr(error), error, same_exception
    for name, (value, check) in (
        ('a list in itself', knot_list()),
        ('a dict in itself', knot_dict()),
        ('a tuple in its own list', knot_tuple()),
        ('one list, twice', one_list_twice()),
        ('two equal lists', equal_but_distinct()),
        ('700 lists, twice', many_shared()),
    ):
        yield name, value, check
    yield '150 lists deep', deep(), same


def instances():
    """Instances of classes, of this module and of the standard library."""
    yield ('an instance in itself',) + knot_instance()
    for value in (
        Pair(1, [2]), Page('https://example.org/'), [Page('a'), Page('a')], Slots(1, [2]), reduced(),
        Stateful([1]), NewArguments(1, right=[2]), Words('abc'), Colour.RED, Level.HIGH,
        datetime.datetime(2024, 2, 29, 12, 30, 1, 7), datetime.date(2024, 2, 29), datetime.timedelta(1, 2, 3),
        datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone(datetime.timedelta(hours=2))), datetime.time(1, 2),
        decimal.Decimal('3.14'), fractions.Fraction(1, 3), uuid.UUID(int=7), array.array('i', [1, 2, 3]),
        collections.OrderedDict([('b', 1), ('a', 2)]), collections.deque([1, 2], 5), collections.Counter('hello'),
        collections.defaultdict(list, a=[1]), collections.ChainMap({'a': 1}), types.SimpleNamespace(a=1),
    ):
        yield type(value).__name__, value, same
    for value in (Page, Pair, deep, collections.OrderedDict):
        yield value.__name__, value, same_identity


def local_objects():
    """What another version of Python may not be able to load."""
    yield 're.Pattern', re.compile('a+', re.I), same
    yield 'Path', pathlib.PurePosixPath('/tmp/x'), same
    partial = functools.partial(int, base=2)
    yield 'partial', partial, lambda sent, back: same(back('101'), 5)
    if dataclasses:
        yield 'dataclass', Job('crawl', parts=[1]), same
    yield '3 MB', b'0123456789' * 300000, same
    yield 'bound method', Page('title').title, lambda sent, back: same(back(), 'title')
    if numpy:
        for value in (numpy.arange(6).reshape(2, 3), numpy.zeros(50000), numpy.array(['a', 'bc']), numpy.float64(1.5),
                      numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)), numpy.array([None, [1]], dtype=object)):
            yield 'numpy ' + repr(value)[:40], value, same_array


def same_array(sent, back):
    assert type(sent) is type(back) and sent.dtype == back.dtype and sent.shape == back.shape
    assert (sent == back).all()


def portable_objects(ident):
    """Triples of a name, an object and what compares it with what came back; the names are unique."""
    yield from numbered(builtin_objects(ident), instances())


def all_objects(ident):
    yield from numbered(builtin_objects(ident), instances(), local_objects())


def numbered(*groups):
    for number, (name, value, check) in enumerate(itertools.chain(*groups)):
        yield '%d: %s' % (number, name), value, check
