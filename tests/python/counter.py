"""An object that is not a queue: methods with keywords, results of many kinds, and an error of its own."""

import hub

manager = hub.connect()
counter = manager.get_counter()
start = counter.value()
assert counter.add() == start + 1
assert counter.add(2) == start + 3
assert counter.add(2, times=3) == start + 9
assert counter.add(amount=-9) == start
for value in (
    None, True, -1, 2**100, 1.5, 'caf\u00e9', b'\0', [1, [2]], (1, 'a'), {'k': (None,)}, 'echo', 'option',
    counter._token.id, {1, 2}, frozenset([1]), bytearray(b'x'), ['option', 'option'],
):
    assert counter.echo(value) == (value, None)
    assert counter.echo(value, value) == (value, value)
    assert counter.echo(option=[value], item=value) == (value, [value])
assert str(hub.raises(RuntimeError, counter.fail, 'as asked')) == 'as asked'
hub.raises(TypeError, counter.add, bogus=1)
hub.raises(AttributeError, lambda: counter.total)
assert manager.get_counter().value() == start
print('ok')
