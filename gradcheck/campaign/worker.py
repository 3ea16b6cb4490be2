"""The process in which cells are judged: `python -m gradcheck.campaign.worker SECONDS`.

A filter, made by `gradcheck.campaign.guard`: it reads cells from stdin and writes records to stdout, a line of JSON
each, and whatever else is printed goes to stderr, its last words too. It ends where nobody is left to answer to. Asked
about a target instead, with shapes or without, it answers with the shapes that fit.
"""

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PERIOD = 0.1
"""Seconds between two looks for the process that asked."""


def main(seconds: float) -> None:
    """Answer what is asked on stdin until it ends; what takes so many seconds ends the process."""
    with suppress(OSError, AttributeError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the campaign's business
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # a layer that prints, or reads, does not mix with these
    os.dup2(2, 1)
    faulthandler.enable()  # says where it was when it was aborted, or crashed
    with suppress(OSError):  # where memory runs out, Linux is to end this process, not the campaign
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()

    from gradcheck.campaign.blocks import shapes_of
    from gradcheck.campaign.cell import Cell

    def say(answer: Any) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    say("ready")
    for line in requests:
        request = json.loads(line)
        faulthandler.dump_traceback_later(seconds, exit=True)  # from C: holding the GIL does not keep it from coming
        try:
            answer = Cell(**request).judge() if "number" in request else {"shapes": shapes_of(**request)}
        except (Exception, SystemExit) as error:
            answer = {"refused": " ".join(f"{type(error).__name__}: {error}".split())}
        faulthandler.cancel_dump_traceback_later()
        say(answer)


def _follow(parent: int) -> None:
    """End with the process that asked: killed, it cannot say that it is gone."""
    while os.getppid() == parent:
        time.sleep(PERIOD)
    os._exit(0)


if __name__ == "__main__":
    main(float(sys.argv[1]))
