"""Random literals, good ones and spoiled ones, which a Rust program reads as Python's own `ast.literal_eval` does.

From Python 3.10 on, whose `literal_eval` passes over blanks in front.
"""

import ast
import random
import warnings

import hub

warnings.simplefilter('ignore')
choose = random.Random(20)
ATOMS = [
    'None', 'True', 'False', '0', '00', '7', '-1', '+ 2', '1_000', '0xfF', '0b1_0', '0o17', '0x_1', '017', '1__0', '--1', '-True',
    str(2 ** 63), str(-2 ** 63), str(-2 ** 63 - 1), str(3 ** 200), '-0x' + 'a5' * 40, '0b1' + '0' * 70,
    '1.', '.5', '1e5', '-1.5E-7', '1_0.0_1', '01.5', '1e', '1.e3', '-0.0', '1e400', '0.1', '1._5', '.', '1.2.3', '0x1.5',
    "''", '""', "'a'", '"it\'s"', r"'\n\t\\\'\x41\101\0'", r"'\u20ac\U0001F980'", r"'\d\8'", r"r'\n'", r"R'\''", "u'x'", "'é漢'",
    "'''a\n'b'''", '"""x"""', r"b'\xff\0\377\400'", "B'a'", r"rb'\x'", r"bR'\''", "b'é'", r"'\x4'", r"'\u12'", "'a' 'b'", "'a' b'b'",
    "b'a'B\"b\"", "'", "f'a'", "ub'a'", "'a\nb'", "'a\\\nb'", r"'\777'", r"b'\u20ac'", 'nan', 'é', 'x', '',
]
SPOIL = list('()[]{},:\'" \n\\0_.-x#') + ['é', ' ,', '1', '()']


def hashable(text):
    try:
        hash(ast.literal_eval(text))
        return True
    except Exception:
        return False


def literal(depth):
    kind = choose.randrange(9 if depth else 4)
    if kind < 4:
        return choose.choice(ATOMS)
    space = choose.choice(['', ' ', '\n', ' # note\n', '\t'])
    parts = [literal(depth - 1) for _ in range(choose.randrange(4))]
    comma = choose.choice(['', ',', space + ','])
    if kind < 6:
        return '[' + space + (',' + space).join(parts) + comma + ']'
    if kind < 7:
        return '(' + (space + ',').join(parts) + comma + ')'
    # Keys that Python cannot hash are no good, but it says so only when it has read the rest.
    keys = [part for part in parts if hashable(part)]
    if kind < 8:
        return '{' + ','.join(keys) + comma + '}'
    return '{' + ','.join(key + space + ':' + literal(depth - 1) for key in keys) + comma + '}'


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return a == b if isinstance(a, set) else repr(a) == repr(b)


def expected(text):
    try:
        return 'read', ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError):
        return 'refused', None


texts = list(ATOMS)
while len(texts) < 4000:
    text = literal(3)
    if choose.random() < 0.4:
        at = choose.randrange(len(text) + 1)
        text = text[:at] + choose.choice(SPOIL) + text[at + choose.randrange(2):]
    texts.append(text)

manager = hub.connect()
manager.get_task_queue().put(texts)
answers = manager.get_result_queue().get(timeout=30)
assert len(answers) == len(texts)
counts = {'read': 0, 'refused': 0}
for text, (what, value) in zip(texts, answers):
    wanted, correct = expected(text)
    # Not read here: complex numbers, `...`, lone surrogates, and lines that a backslash continues.
    if what == 'refused' and ('complex' in value or '...' in text or '\\' in text):
        continue
    assert what == wanted, (text, what, value, correct)
    assert what == 'refused' or same(value, correct), (text, value, correct)
    counts[what] += 1
assert min(counts.values()) > 800, counts
print('ok: %s' % counts)
