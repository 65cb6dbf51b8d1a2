"""Functions of the user's, named in a suite as `module:function`: declared, loaded, checked, called without harm to the run."""

import importlib
import inspect
import math
import pkgutil
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

import msgspec

from evaltape.errors import UserError
from evaltape.metrics.scorers import UNLIMITED, FunctionError, Limits, Score, is_within, spelled
from evaltape.names import nearest, shown
from evaltape.samples.sample import Answer, Sample
from evaltape.text import cut, visible

_OWN = Path(__file__).resolve().parents[1]
_LONGEST = 300
"""Columns of a message that a user's code raised."""
LARGEST = 1e30
"""No score is greater: squares and sums of such scores are still finite."""


class UserFunction(msgspec.Struct, frozen=True):
    """A function of the user's that can be called with the arguments it is for."""

    name: str
    """As the suite spells it: `module:function`."""
    function: Callable[..., Any]
    root: Path
    """The folder that the user's own code lies under."""

    def call(self, *arguments: Any) -> Any:
        """Call the function. Raises `FunctionError` naming the user's line if it raises anything but an interrupt."""
        return self._guarded(self.function, *arguments)

    def text(self, *arguments: Any, otherwise: str) -> str | None:
        """Call the function and return its text, or None. Raises `FunctionError` for anything else; None says `otherwise`."""
        returned = self.call(*arguments)
        if returned is not None and not isinstance(returned, str):
            raise self.wrong(returned, f"neither a text nor None, which says that {otherwise}")
        return returned

    def number(self, *arguments: Any) -> float:
        """Call the function and return its score. Raises `FunctionError` for anything that isn't a finite number."""
        returned = self.call(*arguments)
        try:
            number = float(returned) if hasattr(type(returned), "__float__") else None
        except OverflowError:
            number = math.inf
        except Exception:
            number = None
        if number is None:
            raise self.wrong(returned, "not a number")
        if not math.isfinite(number):
            raise self.wrong(returned, "which isn't finite")
        if abs(number) > LARGEST:
            raise self.wrong(returned, "too large for a mean")
        return number + 0.0  # -0.0 becomes 0.0

    def words(self, text: str) -> list[str]:
        """Call the function and return its tokens. Raises `FunctionError` for anything that isn't a list of texts."""
        returned = self.call(text)
        if isinstance(returned, list | tuple | Iterator):  # a set has no order that lasts
            tokens: list[Any] = self._guarded(list, returned)
            if all(isinstance(token, str) for token in tokens):
                return tokens
        raise self.wrong(returned, "not a list of texts")

    def wrong(self, returned: Any, what: str) -> FunctionError:
        """Return the error for a value that the function shouldn't have returned."""
        return FunctionError(f"{self.place}: {self.name} returned {cut(reprlib.repr(returned), 80)}, {what}")

    @property
    def place(self) -> str:
        """`file:line` of the function's definition, or its name if it has no such place, as functions of C."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        code = code or getattr(self.function.__call__, "__code__", None)  # type: ignore[operator]  # each callable has one
        return f"{shown(Path(code.co_filename))}:{code.co_firstlineno}" if code else self.name

    def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # pytest's own outcomes and SystemExit are no exceptions of the usual kind
            raise FunctionError(f"{_line_of(error, self.root, self.place)}: {self.name} raised {_described(error)}") from None


def load_function(name: str, root: Path, parameters: tuple[str, ...], place: str) -> UserFunction:
    """Import `module:function` from below `root` or from installed packages, and check how it can be called.

    `root` is put in front of `sys.path`, as pytest does with the folder of a conftest.py, and stays there, since functions
    import too. Raises `UserError`, beginning with `place`, for a function that can't be imported or called with `parameters`.
    """
    try:
        module_name, _, path = name.partition(":")
        if not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
            raise UserError('it takes "module:function", as in "acme.metrics:names_kept"')
        value: Any = _module(module_name, root)
        owner = module_name
        for attribute in path.split("."):
            if not hasattr(value, attribute):
                raise UserError(_nothing_there(value, owner, attribute))
            value, owner = getattr(value, attribute), f"{owner}.{attribute}"
        _check_callable(name, value, parameters)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    return UserFunction(name, value, root)


def _described(error: BaseException) -> str:
    """Return `ValueError: its message` in a line."""
    return cut(traceback.format_exception_only(error)[-1].strip(), _LONGEST)


def _module(name: str, root: Path) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            parent = missing.rpartition(".")[0]
            folders = list(getattr(sys.modules.get(parent), "__path__", ())) if parent else [str(root)]
            there = [f"{parent}.{module.name}".lstrip(".") for module in pkgutil.iter_modules(folders)]
            where = f"neither under {shown(root)} nor installed.{nearest(missing, there)}"
            raise UserError(f"there is no module {missing!r}, {where}") from None
        raise UserError(f"importing {name} raised {_described(error)} ({_line_of(error, root, name)})") from None


def _nothing_there(value: Any, owner: str, attribute: str) -> str:
    members = {name: it for name, it in getattr(value, "__dict__", {}).items() if _is_function(it) and not name.startswith("_")}
    there = [name for name, member in members.items() if getattr(member, "__module__", owner) == owner]
    listed = f" Functions there: {', '.join(there)}" if there else " There are no functions in it"
    return f"{owner} has no {attribute!r}.{nearest(attribute, there)}{listed}"


def _is_function(member: Any) -> bool:
    return callable(member) and not isinstance(member, type)


def _check_callable(name: str, value: Any, parameters: tuple[str, ...]) -> None:
    wanted = f"({', '.join(parameters)})"
    if not _is_function(value):
        kind = "a class" if isinstance(value, type) else f"{cut(reprlib.repr(value), 80)}"
        raise UserError(f"{name} is {kind}, not a function of {wanted}")
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        raise UserError(f"{name} is async; it takes a plain function of {wanted}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # builtins may have none
        return
    try:
        signature.bind(*parameters)
    except TypeError as error:
        raise UserError(f"{name}{signature} can't be called with {wanted}: {error}") from None


def _line_of(error: BaseException, root: Path, fallback: str) -> str:
    """Return `file:line` of the innermost frame in the user's own code; of the outermost if all of it is elsewhere."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{shown(Path(error.filename))}:{error.lineno}"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    files = [(Path(name).resolve(), line) for name, line in frames if not name.startswith("<")]
    theirs = [(file, line) for file, line in files if not file.is_relative_to(_OWN)]
    if not theirs:
        return fallback
    # A virtual environment may stand in the user's repository.
    below = [(file, line) for file, line in theirs if file.is_relative_to(root.resolve())]
    inside = [(file, line) for file, line in below if "site-packages" not in file.parts]
    file, line = inside[-1] if inside else theirs[0]
    return visible(f"{shown(file)}:{line}")


Function = TypeVar("Function", bound=Callable[[Any, str], Any])
_ATTRIBUTE = "__evaltape_metric__"


@overload
def metric(function: Function, /) -> Function: ...
@overload
def metric(*, higher_is_better: bool = True, bounds: Limits = (None, None)) -> Callable[[Function], Function]: ...
def metric(
    function: Function | None = None, /, *, higher_is_better: bool = True, bounds: Limits = (None, None)
) -> Function | Callable[[Function], Function]:
    """Declare a function of `(sample, answer)` as a metric; it is returned unchanged.

    A plain function works as a metric too: higher is better, and nothing is known of its bounds. Where lower is better, a
    gate is an upper bound. The suite names the function, once for all its tests:

        # acme/metrics.py
        import evaltape

        @evaltape.metric(higher_is_better=False, bounds=(0, 1))
        def repetition(sample: evaltape.Sample, answer: str) -> float:
            words = answer.lower().split()
            return 1 - len(set(words)) / len(words) if words else 0.0

        # evals/suites/tickets.toml
        [metrics]
        repetition = { function = "acme.metrics:repetition" }

        [models.gpt-4o-mini]
        gates = { repetition = 0.2 }

    :param higher_is_better: whether a greater score is better.
    :param bounds: the least and the greatest score, None for no limit: `(0, 1)`, `(0, None)`.
    :raises TypeError: for bounds that aren't two numbers, or for anything that can't be declared.
    :raises ValueError: for bounds without a score between them.
    """
    declaration = bool(higher_is_better), _checked(bounds)

    def declare(function: Function) -> Function:
        if not callable(function):
            raise TypeError(f"evaltape.metric declares a function of (sample, answer), not {function!r}")
        setattr(function, _ATTRIBUTE, declaration)
        return function

    return declare if function is None else declare(function)


def _checked(bounds: Any) -> Limits:
    try:
        low, high = (None if end is None else float(end) for end in bounds)
    except (TypeError, ValueError):
        raise TypeError(f"bounds={bounds!r}: it takes the least and the greatest score, as in (0, 1) or (0, None)") from None
    if any(end is not None and not math.isfinite(end) for end in (low, high)):
        raise ValueError(f"bounds={bounds!r}: it takes finite numbers, and None for no limit")
    if low is not None and high is not None and low >= high:
        raise ValueError(f"bounds={bounds!r}: the least score comes first, and under the greatest")
    return low, high


def load_metric(name: str, root: Path, place: str) -> tuple[Score, bool, Limits]:
    """Return the scores of a user's function, whether higher is better, and its bounds. Raises as `load_function`."""
    function = load_function(name, root, ("sample", "answer"), f"{place}: function = {name!r}")
    higher_is_better, bounds = getattr(function.function, _ATTRIBUTE, (True, UNLIMITED))

    def score(sample: Sample, answer: Answer) -> float:
        value = function.number(sample, answer.text)
        if not is_within(value, bounds):
            raise function.wrong(value, f"outside its bounds: {spelled(bounds)}")
        return value

    return score, higher_is_better, bounds
