"""Work in children of the test's own process: torch is there already, so that a child takes milliseconds to start."""

import multiprocessing
import os
import socket
import traceback

from accelerate.state import AcceleratorState, PartialState


def fork(work, *given):
    """Start `work(*given)` in a child; its exit code is 1 if it raises."""

    def run():
        try:
            work(*given)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    return child


def in_processes(count, work, *given):
    """Run `work(rank, *given)` in `count` children that torch.distributed can join; all must come to their end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    shared |= {"LOCAL_WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}

    def one(rank):
        os.environ.update(shared, RANK=str(rank), LOCAL_RANK=str(rank))
        AcceleratorState._reset_state(True)
        PartialState._reset_state()
        work(rank, *given)

    children = [fork(one, rank) for rank in range(count)]
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * count
