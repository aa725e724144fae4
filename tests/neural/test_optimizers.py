import pytest

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._optimizers import TensorFlowRMSprop, make_optimizer  # noqa: E402


def path(optimizer, parameter, gradients):
    """Return where a parameter is after each gradient."""
    found = []
    for gradient in gradients:
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        found.append(parameter.item())
    return found


def test_rmsprop_of_tensorflow_starts_from_a_mean_square_of_one_with_momentum():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = TensorFlowRMSprop([parameter], lr=0.1, decay=0.9, momentum=0.5, eps=1e-10)
    # mean squares 0.9 + 0.1 * 4 = 1.3 and 1.17 + 0.1 * 1 = 1.27, worked by hand
    first = 0.1 * 2 / 1.3**0.5
    second = 0.5 * first + 0.1 * -1 / 1.27**0.5
    assert path(optimizer, parameter, [2.0, -1.0]) == pytest.approx([1 - first, 1 - first - second])


def test_settings_reach_the_optimiser():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = make_optimizer("adagrad", [parameter], 0.5, initial_accumulator_value=0.1)
    assert path(optimizer, parameter, [2.0]) == pytest.approx([1 - 0.5 * 2 / 4.1**0.5])


def test_parameters_without_a_gradient_stay():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = TensorFlowRMSprop([parameter])
    optimizer.step()
    assert parameter.item() == 1
