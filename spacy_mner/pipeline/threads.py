"""Threads of torch in forked processes."""

from __future__ import annotations

import multiprocessing
import os

import torch

# The process that torch's thread pool belongs to: a forked child does not have it.
_pool_owner = os.getpid()


def use_one_thread_in_forked_child() -> None:
    """Set one thread where this process is a child that `multiprocessing` forked.

    A forked child inherits torch's thread pool without its threads, and would wait for them
    forever. Called before the first torch operation of this package in a process. Other forked
    processes, such as the workers of a web server, keep their threads.
    """
    global _pool_owner
    if _pool_owner != os.getpid():
        _pool_owner = os.getpid()
        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)
