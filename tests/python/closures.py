"""Objects that are closures of a Rust program: a function, and methods whose names are made when it runs."""

import hub

for typeid in ('add', 'limits'):
    hub.Manager.register(typeid)
manager = hub.connect()
add = manager.add()
assert add(1, 2) == add(1, b=2) == add(b=2, a=1) == 3
for wrong in ((), (1,), (1, 2, 3), (1, 'two'), ([0] * 50000, 2)):
    hub.raises(TypeError, add, *wrong)
hub.raises(TypeError, add, 1, c=2)
limits = manager.limits()
assert (limits.image_rate(), limits.page_rate()) == (5, 20)
assert limits.page_rate() == 20
print('ok')
