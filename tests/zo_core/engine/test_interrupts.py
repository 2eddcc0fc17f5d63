"""Ctrl-C at the worst moment: in the middle of a pass over the parameters."""

import signal
import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from zo_core import ZOSGD
from zo_core.engine.interrupts import uninterrupted


class InterruptedNoise:
    """Signs at every step; during one pass over the parameters, Ctrl-C arrives between two chunks."""

    chunk_numbers = 1
    interrupted_pass = -1

    def __init__(self, seed: int, parameters: int) -> None:
        self.passes = 0

    def direction(self, chunks, step, query, group):  # type: ignore[no-untyped-def]
        def add(scale: float) -> None:
            first, second = chunks
            first.add_(scale)
            if self.passes == self.interrupted_pass:
                signal.raise_signal(signal.SIGINT)
            second.sub_(scale)
            self.passes += 1

        return add

    def tensors(self) -> list[torch.Tensor]:
        return []


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Python's own handler, also where the tests run in the background and ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted_step(in_pass: int) -> tuple[torch.Tensor, ZOSGD]:
    theta = nn.Parameter(torch.tensor([1.0, 3.0], dtype=torch.float64))
    optimizer = ZOSGD([theta], lr=0.1, queries=2, noise=InterruptedNoise)
    optimizer.noise.interrupted_pass = in_pass  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(lambda: theta[0] - theta[1])
    return theta.detach(), optimizer


@pytest.mark.parametrize("in_pass", range(5))
def test_an_interrupt_between_two_chunks_restores_the_parameters(in_pass: int) -> None:
    """Two passes out and one back for the first query, two out for the second."""
    theta, optimizer = interrupted_step(in_pass)
    assert torch.allclose(theta, torch.tensor([1.0, 3.0], dtype=torch.float64), rtol=0, atol=1e-12)
    assert optimizer.steps_taken == 0


@pytest.mark.parametrize("in_pass", [5, 6])
def test_an_interrupt_in_the_last_passes_comes_after_the_whole_step(in_pass: int) -> None:
    """L = theta_0 - theta_1 rises by 2 along z = (1, -1); both queries have this z, so the step is -lr * 2 * z."""
    theta, optimizer = interrupted_step(in_pass)
    assert torch.allclose(theta, torch.tensor([0.8, 3.2], dtype=torch.float64), rtol=0, atol=1e-12)
    assert optimizer.steps_taken == 1


def test_the_handler_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), uninterrupted():
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_users_own_is_called_and_the_step_goes_on() -> None:
    """It does not raise: the loss is seen at both ends all the same."""
    calls: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: calls.append(number))
    theta = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def closure() -> torch.Tensor:
        signal.raise_signal(signal.SIGINT)
        return theta.sum()

    ZOSGD([theta], lr=0.1).step(closure)
    assert calls == [signal.SIGINT] * 2
    assert theta.detach().abs().min() > 0


def test_a_second_interrupt_does_not_stop_the_restoring() -> None:
    """The first one raises in the closure; the second comes on the way back."""

    class Impatient(InterruptedNoise):
        interrupted_pass = 1

    theta = nn.Parameter(torch.tensor([1.0, 3.0], dtype=torch.float64))
    with pytest.raises(KeyboardInterrupt):
        ZOSGD([theta], lr=0.1, noise=Impatient).step(lambda: signal.raise_signal(signal.SIGINT))
    assert torch.allclose(theta, torch.tensor([1.0, 3.0], dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_without_a_handler_there_is_nothing_to_do(handler: signal.Handlers) -> None:
    signal.signal(signal.SIGINT, handler)
    with uninterrupted() as interruptible:
        assert interruptible(lambda: signal.getsignal(signal.SIGINT)) == handler


def test_it_works_in_a_thread_where_there_are_no_signals() -> None:
    theta = nn.Parameter(torch.zeros(3))
    worker = threading.Thread(target=lambda: ZOSGD([theta], lr=0.1).step(lambda: theta.sum()))
    worker.start()
    worker.join()
    assert theta.detach().abs().min() > 0
