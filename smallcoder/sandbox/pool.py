"""Slots at work: a thread for each, which hands it jobs and takes the answers.

A slot gets its next job while it is busy with one, so that it never waits for this process, unless another slot is
idle. A job that breaks its slot is tried once more, wherever a slot is free; the other job that the slot had goes back
to the head of the queue and loses nothing. A broken slot is replaced when there is something to do.
"""

import marshal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from smallcoder.sandbox.host import Slot, SlotError
from smallcoder.sandbox.pack import result
from smallcoder.sandbox.protocol import Result

_BEGUN = 2  # jobs that a slot has
_AHEAD_BYTES = 1 << 16  # fit into a socket: a slot that writes its answer and a thread that writes a job never deadlock
_TRIES = 2


@dataclass(eq=False)
class _Task:
    message: dict[str, Any]
    data: bytes
    future: "Future[Result]"
    tries: int = _TRIES
    begun: bool = False


class Pool:
    """`workers` slots, of which `first` is there and the others are made by `start` when there is something to do."""

    def __init__(self, workers: int, tier: str, first: Slot, start: Callable[[], Slot]) -> None:
        self._tier, self._start = tier, start
        self.slots = {first}
        self._waiting: deque[_Task] = deque()
        self._idle = 0  # threads
        self._closed = False
        self._changed = threading.Condition(threading.Lock())  # guards all of these
        slots = [first, *[None] * (workers - 1)]
        self._threads = [threading.Thread(target=self._serve, args=(slot,), daemon=True) for slot in slots]
        for thread in self._threads:
            thread.start()

    def submit(self, message: dict[str, Any]) -> "Future[Result]":
        """The result of a packed job, in time. Cancelling it before a slot has the job drops the job."""
        task = _Task(message, marshal.dumps(message), Future())
        with self._changed:
            if not self._closed:
                self._waiting.append(task)
                self._changed.notify()
                return task.future
        task.future.set_result(self._infra("closed"))
        return task.future

    def close(self) -> None:
        """End all slots. What has no result yet is `infra`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for slot in self.slots:
                slot.hang_up()
        for thread in self._threads:
            thread.join()
        for slot in self.slots:
            slot.close()
        for task in self._waiting:
            if task.begun or task.future.set_running_or_notify_cancel():
                task.future.set_result(self._infra("closed"))

    def _serve(self, slot: Slot | None) -> None:
        """The life of one thread."""
        tasks: deque[_Task] = deque()  # that its slot has, but for the last ones where it has only `sent`
        sent = 0
        while self._take(tasks):
            found: Result | BaseException
            try:
                slot = slot or self._started()
                while sent < len(tasks):
                    slot.send(tasks[sent].data)
                    sent += 1
                reply = slot.receive(tasks[0].message["patience"])
                found = result(reply, tasks[0].message, self._tier)
                broken = found.status == "infra" and not reply.get("lasting")
            except SlotError as error:
                broken, found = True, self._infra(str(error))
            except BaseException as error:  # an interrupt too: no later job may take a late answer for its own
                broken, found = True, error
            if broken:
                self._discard(slot)
                slot, sent = None, 0
                tasks[0].tries -= 1
            else:
                sent -= 1
            if isinstance(found, BaseException):
                tasks.popleft().future.set_exception(found)
            elif not broken or not tasks[0].tries:
                tasks.popleft().future.set_result(found)
            if broken:
                self._put_back(tasks)
        self._put_back(tasks)

    def _take(self, tasks: deque[_Task]) -> bool:
        """Wait until there is something to do, and add what a slot may have of it. False at the end."""
        with self._changed:
            while not self._closed:
                while self._waiting and self._may_have(self._waiting[0], tasks):
                    task = self._waiting.popleft()
                    if task.begun or task.future.set_running_or_notify_cancel():
                        task.begun = True
                        tasks.append(task)
                if tasks:
                    return True
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
        return False

    def _may_have(self, task: _Task, tasks: deque[_Task]) -> bool:
        return not tasks or (len(tasks) < _BEGUN and not self._idle and len(task.data) <= _AHEAD_BYTES)

    def _put_back(self, tasks: deque[_Task]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(tasks))
            self._changed.notify(len(tasks))
        tasks.clear()

    def _started(self) -> Slot:
        slot = self._start()
        with self._changed:
            self.slots.add(slot)
            if self._closed:
                slot.hang_up()
        return slot

    def _discard(self, slot: Slot | None) -> None:
        if slot:
            slot.close()
            with self._changed:
                self.slots.discard(slot)

    def _infra(self, reason: str) -> Result:
        return Result("infra", [], reason, 0.0, self._tier)
