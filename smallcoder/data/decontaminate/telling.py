"""Which n-grams of passages could identify a text: the words and signs that every text has tell nothing."""

import numpy as np

from smallcoder.data.compiled import compiled
from smallcoder.data.decontaminate.lexer import SIGN
from smallcoder.data.kernels import Array

ANY, PROSE, CODE = 0, 1, 2  # which n-grams tell anything, see `tells_something`
PROSE_DIFFERENT, CODE_DIFFERENT, MARKED = 8, 5, 2

STOPS = """
a an are at be been but by can could did does each every has have how it its must no of on one only should such than
that the their them then there these they this to was were what when where which who whose will would you your
""".split()  # noqa: SIM905  # words that hold English together, less keywords of programming

LEGAL = """
applicable conditions copyright copyrights damages disclaimer distribute distributed hereby liability liable license
licensed licenses merchantability permission permissions redistribution redistributions software sublicense warranties
warranty
""".split()  # noqa: SIM905  # no 13 words in a row of the usual licence notices are without one of these


@compiled
def mark_tokens(chunk: tuple[Array, Array], rule: int, vocabulary: tuple[Array, Array], marks: Array) -> None:
    """What `tells_something` asks of each token of a chunk (values and kinds).

    PROSE: 1 for STOPS, 2 for LEGAL. CODE: 1 for what is no sign and no number.
    """
    (values, kinds), (stops, legal) = chunk, vocabulary
    for n in range(len(values)):
        if rule == CODE:
            marks[n] = kinds[n] != SIGN
        else:
            value = values[n]
            stop, law = np.searchsorted(stops, value), np.searchsorted(legal, value)
            marks[n] = stop < len(stops) and stops[stop] == value
            if law < len(legal) and legal[law] == value:
                marks[n] = 2


@compiled
def tells_something(rule: int, window: Array, marks: Array) -> bool:
    """Whether an n-gram of words, or of code tokens without regard to which names recur, could identify a text.

    PROSE: enough different words, and of those that hold sentences together, and none of licence notices. CODE: enough
    different tokens, and enough that are no signs or numbers.
    """
    marked = 0
    for i in range(len(window)):
        if marks[i] == 2:
            return False
        marked += marks[i]
    if marked < MARKED:
        return False
    least = PROSE_DIFFERENT if rule == PROSE else CODE_DIFFERENT
    different = marked = 0
    for i in range(len(window)):
        new = True
        for j in range(i):
            if window[i] == window[j]:
                new = False
                break
        different += new
        marked += marks[i] and (new or rule == CODE)
        if marked >= MARKED and different >= least:
            return True
    return False
