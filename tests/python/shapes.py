"""Random graphs of objects of all that `__reduce__` can do, shared and recursive: they are after a queue what they are
after CPython's, which unpickles what is put and pickles what is got.

    python3 shapes.py HOST:PORT AUTHKEY [--netq] [SEED CASES]
"""

import collections
import functools
import pickle
import random
import sys
from multiprocessing.reduction import ForkingPickler

WORDS = ['', 'put', 'get', 'item', 'timeout', 'block', 'get_task_queue', 'log', 'a', 'b', 'x' * 300]
ATOMS = WORDS + [None, True, False, 0, 7, 300, -1, 2 ** 70, 0.5, b'', b'bytes', Ellipsis, len, 1j]


class Plain:
    """Its state is its __dict__, set by BUILD."""


class Args:
    """Has its parts from the arguments of its call; it may be in one of them."""

    def __init__(self, *parts):
        self.parts, self.log = list(parts), []

    def __reduce__(self):
        return Args, tuple(self.parts)


class Filled:
    """A call with arguments, a state, items and pairs."""

    def __init__(self, first=None):
        self.parts, self.log = [first], []

    def append(self, item):
        self.parts.append(item)

    def __setitem__(self, key, value):
        self.log.append((key, value))

    def __reduce__(self):
        state = {'state': self.state} if hasattr(self, 'state') else None
        return Filled, (self.parts[0],), state, iter(self.parts[1:]), iter(self.log)


class Set:
    """Its state is set by a function, once."""

    def __init__(self):
        self.parts, self.log = [], []

    setter = None

    def __reduce__(self):
        return Set, (), (self.parts, self.log, self.setter), None, None, self.setter or set_parts


def set_parts(target, state):
    assert not target.parts, 'set twice'
    parts, log, setter = state
    target.parts.extend(parts)
    target.log.extend(log)
    if setter:
        target.setter = setter


class Setter:
    """Whose method sets the state of others."""

    def __init__(self):
        self.parts, self.log = [], []

    def set(self, target, state):
        set_parts(target, state)

    def __call__(self, target, state):
        set_parts(target, state)


def of_words(words, target, state):
    set_parts(target, state)


class Closure:
    """Made empty, as a function's skeleton is, and then set: the cells may hold it, and its class others of its kind."""

    def __init__(self, name, cells):
        self.name, self.cells, self.parts, self.log = name, cells, [], []

    def __reduce__(self):
        state = ({'parts': self.parts, 'log': self.log}, {'cells': self.cells})
        return make_closure, (self.name, tuple(None for _ in self.cells)), state, None, None, set_closure


def make_closure(name, cells):
    return Closure(name, list(cells))


def set_closure(target, state):
    assert not target.parts, 'set twice'
    attributes, more = state
    target.parts.extend(attributes['parts'])
    target.log.extend(attributes['log'])
    target.cells[:] = more['cells']
    return target


def make(choose):
    """A graph's root."""
    nodes = [choose.choice(ATOMS) for _ in range(2)]
    old = sys.version_info < (3, 8)
    kinds = [list, dict, tuple, tuple, set, Plain, Args, Filled, collections.OrderedDict]
    kinds += [] if old else [Set, Set, Set, Closure, Closure, Setter]
    some = lambda most: [choose.choice(nodes) for _ in range(choose.randrange(most + 1))]
    for _ in range(choose.choice([1, 2, 3, 5, 8, 12])):
        kind = choose.choice(kinds)
        if kind is tuple:
            node = tuple(some(5))
        elif kind is set:
            node = choose.choice([set, frozenset])(choose.sample(WORDS, 2))
        elif kind is Args:
            node = Args(*some(2))
        elif kind is Closure:
            node = Closure(choose.choice(WORDS), [None] * choose.randrange(3))
        else:
            node = kind()
            if kind is Set and choose.random() < 0.4:
                node.setter = choose_setter(choose, nodes)
        nodes.append(node)
    for node in nodes:
        for value in some(4):
            fill(choose, node, value)
    return choose.choice(nodes[2:])


def choose_setter(choose, nodes):
    setters = [node for node in nodes if type(node) is Setter] or [Setter()]
    setter = choose.choice(setters)
    partial = functools.partial(of_words, choose.sample(WORDS, 4) * 2)
    return choose.choice([setter, setter.set, partial])


def fill(choose, node, value):
    if isinstance(node, list):
        node.append(value)
    elif isinstance(node, dict):
        node[choose.choice(WORDS)] = value
    elif isinstance(node, Plain):
        setattr(node, choose.choice(WORDS[1:]), value)
    elif isinstance(node, Filled) and choose.random() < 0.3:
        node.state = value
    elif isinstance(node, Closure) and node.cells and choose.random() < 0.7:
        node.cells[choose.randrange(len(node.cells))] = value
    elif isinstance(node, (Set, Filled, Setter, Closure)):
        if choose.random() < 0.3:
            node.log.append((choose.choice(WORDS), value))
        else:
            node.parts.append(value)


def shape(root):
    """What can be seen of a graph: its objects in order, with what they hold, by number."""
    numbers, keep, todo = {}, [], []

    def name(value):
        if type(value) in (str, bytes, int, float, complex, bool) or value is None or value is Ellipsis:
            return (type(value).__name__, repr(value)[:40])
        if value == () or isinstance(value, (type, type(len), type(make))):
            return (type(value).__name__, repr(value))
        if id(value) not in numbers:
            numbers[id(value)] = len(numbers)
            keep.append(value)
            todo.append(value)
        return numbers[id(value)]

    lines = [name(root)]
    while todo:
        value = todo.pop()
        line = [type(value).__name__]
        if isinstance(value, dict):
            line += [(name(key), name(item)) for key, item in value.items()]
        elif isinstance(value, (set, frozenset)):
            line += sorted(map(repr, value))
        elif isinstance(value, (list, tuple)):
            line += [name(item) for item in value]
        elif isinstance(value, functools.partial):
            line += [name(part) for part in (value.func, value.args, value.keywords)]
        elif hasattr(value, '__self__'):
            line += [value.__name__, name(value.__self__)]
        else:
            line += [(key, name(item)) for key, item in sorted(vars(value).items())]
        lines.append(line)
    return lines


protocol = 4
dumps = ForkingPickler.dumps
ForkingPickler.dumps = classmethod(lambda cls, obj, chosen=None: dumps(obj, protocol))


def copied(message):
    return pickle.loads(ForkingPickler.dumps(message))


def expected(ident, method, args, kwds, items):
    """What CPython's manager would give for each of the items."""
    _, _, args, kwds = copied((ident, method, args, kwds))
    return [shape(copied(('#RETURN', item))[1]) for item in items(*args, **kwds)]


def main(hub, seed=1, cases=600):
    global protocol
    tasks = hub.connect().get_task_queue()
    ident = tasks._token.id
    choose = random.Random(seed)
    count = 0
    for case in range(cases):
        protocol = case % (pickle.HIGHEST_PROTOCOL + 1)
        item = make(choose)
        calls = [
            ('put', (item,), {}), ('put', (item, True), {}), ('put', (item,), {'timeout': None}),
            ('put', (), {'block': True, 'item': item}), ('put', (item, True, 5), {}),
            ('put', ((item, item),), {}), ('put', ([item, 'put'],), {}),
        ]
        if hub.netq:
            calls += [('put_many', ([item, make(choose), item],), {})] * 2
            if isinstance(item, list) and item:
                calls += [('put_many', (item,), {})] * 5
        method, args, kwds = choose.choice(calls)
        items = (lambda items: items) if method == 'put_many' else (lambda item, block=True, timeout=None: [item])
        where = 'seed %d, case %d, protocol %d: %s' % (seed, case, protocol, method)
        want = expected(ident, method, args, kwds, items)
        try:
            tasks._callmethod(method, args, kwds)
            if method == 'put_many' and case % 2:
                got = [shape(item) for item in tasks.get_many(len(want))]
            else:
                got = [shape(tasks.get()) for _ in want]
        except Exception as error:
            raise AssertionError('%s: %r' % (where, error)) from error
        if got != want:
            sent = pickle.dumps((ident, method, args, kwds), protocol)
            raise AssertionError('%s\nwant %r\ngot  %r\nsent %r' % (where, want, got, sent))
        count += len(want)
    assert tasks.qsize() == 0
    print('ok: %d objects' % count)


if __name__ == '__main__':
    import hub
    import shapes  # By this name CPython's server can import the classes.
    shapes.main(hub, *map(int, hub.arguments))
