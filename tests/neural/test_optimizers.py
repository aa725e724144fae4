import pytest

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._optimizers import Adadelta, TensorFlowRMSprop, make_optimizer  # noqa: E402


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


def test_adadelta_starts_from_the_first_gradient_and_step_and_penalises_apart_from_squares():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = Adadelta([parameter], decay=0.9, eps=0.01, weight_decay=0.5)
    # the penalty's gradient is 0.5 times the parameter; worked by hand
    first = (2 + 0.5) * (0.01 / (4 + 0.01)) ** 0.5
    square, move = 0.9 * 4 + 0.1 * 1, first**2
    second = (-1 + 0.5 * (1 - first)) * ((move + 0.01) / (square + 0.01)) ** 0.5
    assert path(optimizer, parameter, [2.0, -1.0]) == pytest.approx([1 - first, 1 - first - second])


def test_adadelta_does_not_depend_on_how_many_numbers_it_takes_at_once(monkeypatch):
    found = []
    for at_once in (3, 1000):
        monkeypatch.setattr("recrepro.neural._optimizers._NUMBERS_AT_ONCE", at_once)
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.randn(4, 5))
        optimizer = Adadelta([parameter])
        for _ in range(3):
            parameter.grad = torch.randn(4, 5)
            optimizer.step()
        found.append(parameter.detach())
    torch.testing.assert_close(*found)


def test_settings_reach_the_optimiser():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = make_optimizer("adagrad", [parameter], 0.5, initial_accumulator_value=0.1)
    assert path(optimizer, parameter, [2.0]) == pytest.approx([1 - 0.5 * 2 / 4.1**0.5])


def test_parameters_without_a_gradient_stay():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = TensorFlowRMSprop([parameter])
    optimizer.step()
    assert parameter.item() == 1
