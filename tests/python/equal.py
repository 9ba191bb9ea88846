"""Random pairs of objects, which a Rust program compares as Python does: with `==`, and as keys of a dict."""

import decimal
import pickle
import random

import hub

choose = random.Random(21)
SCALARS = [
    None, True, False, 0, 1, -1, 2, 255, 2 ** 53, 2 ** 53 + 1, 2 ** 63 - 1, 2 ** 63, -2 ** 63, -2 ** 63 - 1, 2 ** 64, 2 ** 127, 2 ** 1000,
    3 ** 200, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0 ** 53, 2.0 ** 63, -2.0 ** 63, 2.0 ** 64, 2.0 ** 127, 2.0 ** 1000, float(3 ** 200),
    int(float(3 ** 200)), -int(1e300), -1e300, float('inf'), float('-inf'), 5e-324,
    '', 'a', '1', 'é', b'', b'a', b'1', (), [], {}, set(), frozenset(),
]
# These have no value of their own in Rust: compared by themselves, but not inside of others.
SPECIAL = [
    1j, 1 + 0j, complex(2.0 ** 63, -0.0), complex(0.5, 1), 0.5 + 1j, '\udce9', 'a\ud800', bytearray(b'a'), bytearray(), bytearray(b'1'),
]


def make(depth, hashable=False):
    kind = choose.randrange(9 if depth else 4)
    if kind < 4:
        value = choose.choice(SCALARS) if choose.random() < 0.5 else choose.choice([0, 1, 1.0, True, 'a', b'a', ()])
        return float('nan') if choose.random() < 0.02 else value
    count = choose.choice([0, 1, 1, 2, 3])
    if kind < 6:
        return tuple(make(depth - 1, hashable) for _ in range(count))
    if kind < 7 and not hashable:
        return [make(depth - 1) for _ in range(count)]
    if kind < 8 and not hashable:
        return {key: make(depth - 1) for key in keys(depth, count)}
    return (frozenset if hashable else choose.choice([set, frozenset]))(keys(depth, count))


def keys(depth, count):
    made = [make(depth - 1, True) for _ in range(count)]
    return [key for key in made if can_hash(key)]


def can_hash(value):
    try:
        hash(value)
        return True
    except TypeError:
        return False


def vary(value):
    """Another object, which is equal more often than not."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(vary, value)) if choose.random() < 0.9 else list(value)
    if isinstance(value, dict):
        items = list(value.items())
        choose.shuffle(items)
        return {vary(key): vary(item) for key, item in items}
    if isinstance(value, (set, frozenset)):
        return choose.choice([type(value), frozenset])(map(vary, value))
    try:
        if isinstance(value, (int, float)) and choose.random() < 0.7:
            return choose.choice([int, float, bool])(value)
    except (OverflowError, ValueError):
        pass
    return choose.choice(SCALARS) if choose.random() < 0.05 and can_hash(value) else value


def varied(value):
    while True:
        try:
            return vary(value)
        except TypeError:  # A list in place of a key's tuple.
            pass


pairs = [(a, b) for a in SCALARS + SPECIAL for b in SCALARS + SPECIAL]
while len(pairs) < 8000:
    value = make(3)
    pairs.append((value, varied(value) if choose.random() < 0.7 else make(3)))

# Python takes the same object for equal without a look, a NaN as well.
pairs = [(a, pickle.loads(pickle.dumps(b))) for a, b in pairs]
manager = hub.connect()
manager.get_task_queue().put(pairs + [(decimal.Decimal(1), 1)])
answers = manager.get_result_queue().get(timeout=40)
assert answers.pop() == ('opaque', 'opaque')
counts = {}
for (a, b), (equal, same) in zip(pairs, answers):
    assert equal == (a == b), (a, b, equal)
    one = len({a: 1, b: 2}) == 1 if can_hash(a) and can_hash(b) else 'unhashable'
    assert same == one, (a, b, same, one)
    counts[equal, same] = counts.get((equal, same), 0) + 1
assert len(answers) == len(pairs) and len(counts) == 4 and min(counts.values()) > 100, counts
print('ok: %s' % counts)
