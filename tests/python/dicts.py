"""Random operations on a shared dict and on one of this process: results, exceptions and messages are the same.

The arguments are seeds. Which words a call's wrong number of arguments gets, differs between Pythons, and is not
looked at.
"""

import copy
import gc
import random
import sys
from decimal import Decimal

import hub

# For each seed and each Python: 40,000 with those of the test.
OPERATIONS = 1250
HASHABLE = [
    None, True, False, 0, 1, 1.0, -1, 2**63, 2.0**63, 0.5, float('inf'), 2**100, '', 'a', 'b', 'é\u20ac', b'', b'a',
    (), (1,), (1.0, 'a'), ((), (None,)), frozenset(), frozenset([1, 'a']), 1j, 'caf\udce9', 'k' * 300,
]
UNHASHABLE = [[], [1], {}, {1: 2}, set(), ([],), (1, {2})]
VALUES = HASHABLE + UNHASHABLE[:5] + [Decimal('1.5'), [[1, 2], {'a': (1, [2])}], b'x' * 20000]
NOT_PAIRS = [5, None, 1.5, 'ab', 'x', '', ['ab', 'cd'], [(1, 2, 3)], [(1,)], [5], [(1, 2), (3,)], [[[], 1]], (), [],
             b'', b'a', {'ab', 'cd'} & {'ab'}]


def outcome(function, *args, **kwds):
    try:
        return 'returned', function(*args, **kwds)
    except Exception as error:
        # Pythons before 3.8 say `1 arguments`.
        message = [word.replace('1 arguments', '1 argument') if type(word) is str else word for word in error.args]
        # Python 3.14 names what was to be done with it too.
        if type(error) is TypeError and 'unhashable type' in str(error):
            message = 'unhashable type' + str(error).split('unhashable type')[1].rstrip(')')
        return 'raised', type(error), message


def same(a, b):
    """Equal, of equal types, and dicts in the same order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    return a == b


def operation(chance):
    """A name, and a function of a dict."""
    key = chance.choice(HASHABLE if chance.random() < 0.9 else UNHASHABLE)
    value = chance.choice(VALUES)
    pairs = [(chance.choice(HASHABLE), chance.choice(VALUES)) for _ in range(chance.randrange(4))]
    if chance.random() < 0.1:
        pairs.append((chance.choice(UNHASHABLE), 1))
    mapping = {key: value for key, value in pairs if outcome(hash, key)[0] == 'returned'}
    wrong = chance.choice(NOT_PAIRS)
    return chance.choice([
        ('[]', lambda d: d[key]),
        ('[]=', lambda d: d.__setitem__(key, value)),
        ('[]=', lambda d: d.__setitem__(key, value)),
        ('[]=', lambda d: d.__setitem__(key, value)),
        ('del', lambda d: d.__delitem__(key)),
        ('in', lambda d: key in d),
        ('get', lambda d: d.get(key)),
        ('get', lambda d: d.get(key, value)),
        ('pop', lambda d: d.pop(key)),
        ('pop', lambda d: d.pop(key, value)),
        ('setdefault', lambda d: d.setdefault(key)),
        ('setdefault', lambda d: d.setdefault(key, value)),
        ('popitem', lambda d: d.popitem()),
        ('len', lambda d: len(d)),
        ('keys', lambda d: list(d.keys())),
        ('values', lambda d: list(d.values())),
        ('items', lambda d: list(d.items())),
        ('iter', lambda d: list(d)),
        ('copy', lambda d: d.copy()),
        ('update', lambda d: d.update(mapping)),
        ('update', lambda d: d.update(pairs)),
        ('update', lambda d: d.update(tuple(map(list, pairs)))),
        ('update', lambda d: d.update(mapping, rate=value, a=1)),
        ('update', lambda d: d.update()),
        ('update wrongly', lambda d: d.update(wrong)),
        ('update wrongly', lambda d: d.update(mapping, pairs)),
        ('clear', lambda d: d.clear() if chance.random() < 0.1 else None),
    ])


def compare(manager, seed):
    seed += ' on %d.%d' % sys.version_info[:2]
    chance = random.Random(seed)
    local, shared = {}, manager.dict()
    for number in range(OPERATIONS):
        name, function = operation(chance)
        state = chance.getstate()
        expected = outcome(function, local)
        chance.setstate(state)
        got = outcome(function, shared)
        where = 'seed %s, operation %d, %s' % (seed, number, name)
        assert same(expected, got), '%s: expected %r, not %r' % (where, expected, got)
        if number % 100 == 0:
            assert same(shared.copy(), local), where
            assert same(copy.deepcopy(shared), local), where


def main():
    manager = hub.connect()
    for seed in hub.arguments or ['1']:
        compare(manager, seed)

    # What it is made of, and looks like
    assert manager.dict({'rate': 5}, limit=7).copy() == {'rate': 5, 'limit': 7}
    assert manager.dict([('a', 1), ('b', [2])]).copy() == {'a': 1, 'b': [2]}
    text = {'a': [1, 2.5, None], (1, 'x'): {'é': b'\0'}}
    assert str(manager.dict(text)) == str(text)
    assert repr(manager.dict()).startswith('<DictProxy object')

    # What Python 3.14 has added
    shared = manager.dict({'a': 1, 'b': 2})
    if hub.netq:
        assert list(shared._callmethod('__or__', ({'b': 3},)).items()) == [('a', 1), ('b', 3)]
        assert list(shared._callmethod('__ror__', ({'b': 3, 'c': 4},)).items()) == [('b', 2), ('c', 4), ('a', 1)]
        assert list(shared._callmethod('__reversed__')) == ['b', 'a']
        shared._callmethod('__ior__', ({'c': 4},))
        assert shared.copy() == {'a': 1, 'b': 2, 'c': 4}

    # What only an instance's own code can say is not guessed.
    if hub.netq:
        error = hub.raises(TypeError, shared.__setitem__, Decimal(1), 'one')
        assert 'netq cannot compare' in str(error) and 'decimal.Decimal' in str(error), error
        error = hub.raises(TypeError, shared.update, iter([(1, 2)]))
        assert 'netq cannot take' in str(error), error
        assert len(shared) == 3
        del error

    gc.collect()
    before = manager._number_of_objects()
    del shared
    gc.collect()
    assert manager._number_of_objects() == before - 1
    print('ok')


if __name__ == '__main__':
    main()
