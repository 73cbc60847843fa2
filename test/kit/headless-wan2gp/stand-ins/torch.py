"""In place of PyTorch: a machine without a GPU."""

from types import SimpleNamespace

__version__ = "0.0"
version = SimpleNamespace(cuda=None)
float16 = bfloat16 = float32 = "a type of numbers"


class Tensor:
    pass


class _Cuda:
    @staticmethod
    def is_available():
        return False

    @staticmethod
    def empty_cache():
        pass


cuda = _Cuda()
