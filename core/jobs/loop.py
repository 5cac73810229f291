"""The loop of a worker thread, which no error ends in silence.

An error of a job is that job's own: the engine's `_piece` turns it into a sentence. What arrives here was raised by the engine's
bookkeeping between jobs, where it would end the thread and leave every session waiting for ever.
"""

import logging
import time
from collections.abc import Callable

log = logging.getLogger("soft_prompt_lab")

FAIL_ALL = 3  # errors in a row, without a turn that worked: then all jobs fail, since one of them may be the reason
GIVE_UP = 6  # errors in a row: then the worker ends
REST = 0.02  # seconds after the first error in a row; twice as long after each further one


def keep_working(turn: Callable[[], bool], recover: Callable[[bool], None], end: Callable[[], None]) -> None:
    """Call `turn` until it returns False, whatever it raises.

    recover: called after an error; True: all jobs have to fail, False: only what this thread was doing. end: called where errors
    repeat, or where `recover` fails as well; the loop is over then.
    """
    in_a_row = 0
    while True:
        try:
            if not turn():
                return
            in_a_row = 0
        except BaseException:  # a SystemExit here would end the thread and say nothing
            in_a_row += 1
            if not _recovered(in_a_row, recover):
                end()
                return


def _recovered(in_a_row: int, recover: Callable[[bool], None]) -> bool:
    """Whether the loop can continue after this many errors in a row."""
    try:
        log.exception("the worker failed between jobs", extra={"facts": {"in_a_row": in_a_row}})
        if in_a_row >= GIVE_UP:
            return False
        recover(in_a_row >= FAIL_ALL)
        time.sleep(REST * 2 ** (in_a_row - 1))
    except BaseException:
        return False
    return True
