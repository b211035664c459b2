"""Forward: where a network lies, and how its failures are told."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ckpt_explorer.errors import InferenceError
from ckpt_explorer.inference.forward import place_of, timed_forward
from tests.inference.networks import resnet20


def test_the_input_takes_the_type_of_the_weights() -> None:
    assert place_of(resnet20().to(torch.bfloat16)).dtype is torch.bfloat16
    assert place_of(nn.ReLU().eval()).dtype is torch.float32


def test_a_network_without_weights_or_in_training_mode_is_refused() -> None:
    with pytest.raises(InferenceError, match="meta device"):
        place_of(nn.Linear(2, 2, device="meta").eval())
    with pytest.raises(InferenceError, match=r"in training mode.*: call eval\(\) first\."):
        place_of(resnet20().train())


def test_nothing_is_recorded_for_gradients() -> None:
    output, milliseconds = timed_forward(resnet20(), torch.zeros(2, 3, 32, 32))
    assert output.shape == (2, 10)
    assert not output.requires_grad
    assert milliseconds > 0


def test_a_wrong_number_of_channels_is_told_with_the_shape_and_the_cause() -> None:
    with pytest.raises(InferenceError) as refused:
        timed_forward(resnet20(), torch.zeros(1, 1, 32, 32))
    assert str(refused.value).startswith("The network failed on an input of shape (1, 1, 32, 32) (RuntimeError: ")
    assert "3 channels" in str(refused.value)
    assert str(refused.value).endswith(": check the size and channels that it was written for.")
    assert isinstance(refused.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("x"), "(KeyError: 'x')"),
        (ValueError(""), "(ValueError)"),
        (ValueError("first\nsecond"), "(ValueError: first)"),
        (SystemExit(3), "(SystemExit: 3)"),
        (ValueError("\x1b[2J"), "(ValueError: \\x1b[2J)"),
    ],
)
def test_whatever_the_users_own_code_raises_is_one_sentence(error: BaseException, told: str) -> None:
    class Broken(nn.Module):
        def forward(self, _x: Tensor) -> Tensor:
            raise error

    with pytest.raises(InferenceError) as refused:
        timed_forward(Broken().eval(), torch.zeros(1, 3, 8, 8))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_device_that_is_full_is_told_so() -> None:
    class Full(nn.Module):
        def forward(self, _x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    with pytest.raises(
        InferenceError, match=r"^The memory of cpu is not enough .*: choose a smaller batch or the CPU\.$"
    ):
        timed_forward(Full().eval(), torch.zeros(1, 3, 8, 8))
