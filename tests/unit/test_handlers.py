"""Declaring handlers, finding them in modules, and writing results."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskqueue import TaskContext, builtin, task
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Backoff
from taskqueue.core.errors import ConfigError
from taskqueue.core.schedule import Misfire, Overlap, Owner, Spec
from taskqueue.core.views import Declaration
from taskqueue.handlers import TaskFunction, encode_result
from taskqueue.modules import collect, import_modules

ROOT = Path(__file__).parents[2]


def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


async def nap() -> None: ...


def numbers() -> Iterator[int]:
    yield 1


def refused(function: Callable[..., Any], name: str | None = "x", **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        task(name, **options)(function)
    return str(caught.value)


def module(**names: object) -> ModuleType:
    made = ModuleType("made")
    vars(made).update(names)
    return made


# -- declaring ---------------------------------------------------------------------------------------------------------


def test_a_task_is_still_the_function() -> None:
    handler = task("math.add")(add)
    assert handler(1) == 3
    assert (handler.__name__, handler.__doc__) == ("add", "Add.")
    assert isinstance(handler, TaskFunction)
    assert handler.handler.function is add
    assert repr(handler) == "<task math.add>"


def test_a_bare_task_is_named_after_module_and_function() -> None:
    assert task(add).handler.name == f"{__name__}.add"
    assert task()(add).handler.name == f"{__name__}.add"


def test_a_local_function_needs_a_name() -> None:
    def local() -> None: ...

    assert "name: expected a name" in refused(local, None)
    assert task("local")(local).handler.name == "local"


def test_what_is_not_declared_is_left_open() -> None:
    declaration = task("x")(add).handler.declaration()
    assert declaration == Declaration(name="x", schema=declaration.schema)


def test_all_options() -> None:
    made = task(
        "x",
        queue="mail",
        priority="high",
        timeout="30s",
        retries=5,
        keep_result=False,
        backoff={"base": "2s"},
        isolation="thread",
        max_running=3,
    )(add).handler
    assert made.declaration() == Declaration(
        name="x",
        isolation="thread",
        queue="mail",
        priority=7,
        timeout=30 * SECOND,
        retries=5,
        keep_result=False,
        schema=made.schema,
    )
    assert made.backoff == Backoff(base=2 * SECOND)
    assert made.max_running == 3


@pytest.mark.parametrize("given", ["90s", 90, 90.0, timedelta(minutes=1.5)])
def test_timeouts_may_be_given_in_several_ways(given: Any) -> None:
    assert task("x", timeout=given)(add).handler.timeout == 90 * SECOND


def test_async_def_runs_on_the_loop() -> None:
    assert task("x")(nap).handler.isolation == "async"
    assert task("x", isolation="async")(nap).handler.isolation == "async"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"priority": "urgent"}, "priority: expected low, normal, high, critical or an integer"),
        ({"priority": 10}, "priority: expected"),
        ({"priority": True}, "priority: expected"),
        ({"retries": -1}, "retries: expected an integer from 0 to 1,000"),
        ({"retries": "5"}, "retries: expected"),
        ({"timeout": "soon"}, "timeout: expected a duration"),
        ({"timeout": 0}, "timeout: expected a duration above 0"),
        ({"timeout": float("nan")}, "timeout: expected a duration"),
        ({"timeout": float("inf")}, "timeout: expected a duration"),
        ({"timeout": timedelta(seconds=-1)}, "timeout: expected a duration"),
        ({"queue": "no spaces"}, "queue: expected a name"),
        ({"keep_result": 1}, "keep_result: expected true or false"),
        ({"backoff": {"base": -1}}, "backoff.base: expected a duration"),
        ({"backoff": {"bass": 1}}, "backoff.bass: unknown key; did you mean base?"),
        ({"backoff": 5}, "backoff: "),
        ({"max_running": 0}, "max_running: expected an integer from 1"),
        ({"retry": 5}, "retry: unknown option; there are: queue, priority, timeout, retries"),
        ({"isolation": "process"}, 'isolation="process": not available in this version'),
        ({"isolation": "async"}, "isolation='async': a plain function runs as \"thread\""),
        ({"isolation": "fiber"}, "isolation='fiber'"),
        ({"memory": "1GB"}, "memory='1GB': not available in this version"),
        ({"cpu": 1}, "cpu=1: not available in this version"),
        ({"files": 0}, "files=0: not available in this version"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], said: str) -> None:
    message = refused(add, **options)
    assert message.startswith(f'@task("x"): {said}')


@pytest.mark.parametrize("name", ["", "no spaces", "x" * 129, "line\nbreak", "ümlaut"])
def test_names_have_a_pattern(name: str) -> None:
    assert ": name: expected a name: 1 to 128 letters" in refused(add, name)


def test_async_def_does_not_run_in_a_thread() -> None:
    assert refused(nap, isolation="thread").endswith('an async def runs as "async"')


def test_a_generator_is_no_handler() -> None:
    assert "a generator has no result to store" in refused(numbers)


def test_only_functions_are_handlers() -> None:
    assert refused(len) == "@task: expected a function, got builtin_function_or_method"
    assert refused(int) == "@task: expected a function, got type"


# -- finding -----------------------------------------------------------------------------------------------------------


def test_handlers_are_found_in_the_namespaces_of_modules() -> None:
    one, two = task("one")(add), task("two")(add)
    found = collect([module(a=one, again=one, plain=add, number=1), module(b=two, imported=one)])
    assert found == {"one": one.handler, "two": two.handler}


def test_two_functions_of_one_name_are_refused_with_both_places() -> None:
    with pytest.raises(ConfigError) as caught:
        collect([module(a=task("one")(add)), module(b=task("one")(numbers_sum))])
    message = str(caught.value)
    assert message.startswith('two handlers are named "one": ')
    for function in (add, numbers_sum):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in message


def numbers_sum() -> int:
    return 1


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes a module of its own into a folder of its own; gives its name."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(text: str, name: str = "app_under_test") -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("app_under_test"):
            del sys.modules[name]


def test_modules_are_imported_from_the_app_folder(app: Callable[..., str], tmp_path: Path) -> None:
    name = app("from taskqueue import task\n@task('hello')\ndef hello(): ...\n")
    path = list(sys.path)
    assert list(collect(import_modules([name], str(tmp_path)))) == ["hello"]
    assert sys.path == [*path, str(tmp_path)], "the folder goes to the end of the import path"


def test_without_an_app_folder_the_working_directory_is_it(
    app: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert import_modules([app("X = 1")])[0].X == 1
    assert sys.path[-1] == str(tmp_path)


def import_refusal(name: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        import_modules([name], str(folder))
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_missing_module_is_named(app: Callable[..., str], tmp_path: Path) -> None:
    app("")
    assert import_refusal("nowhere.tasks", tmp_path) == (
        f"handlers: no module named nowhere, for nowhere.tasks (also looked in {tmp_path})"
    )
    assert import_refusal("app_under_test.tasks", tmp_path) == (
        f"handlers: no module named app_under_test.tasks (also looked in {tmp_path})"
    )


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert import_refusal("x", tmp_path / "nowhere") == f"appDir: {tmp_path}/nowhere is no folder"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import json\n\njson.loads('{')\n", "JSONDecodeError: Expecting"),
        ("x = 1\n\n1 / 0\n", "app_under_test.py:3: ZeroDivisionError: division by zero"),
        ("\nimport not_installed_at_all\n", "app_under_test.py:2: ModuleNotFoundError: No module named"),
        ("x = 1\ny = (\n", "app_under_test.py:2: SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit('no\\nway')\n", "app_under_test.py:2: SystemExit: no way"),
        (
            "from taskqueue import task\n\n@task('x', memory='1GB')\ndef f(): ...\n",
            "app_under_test.py:3: @task(\"x\"): memory='1GB': not available in this version",
        ),
    ],
)
def test_a_module_that_fails_is_told_by_file_line_and_reason(
    app: Callable[..., str], tmp_path: Path, text: str, said: str
) -> None:
    message = import_refusal(app(text), tmp_path)
    assert message.startswith("handlers: app_under_test: ")
    assert said in message


# -- results -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 1, "é", [1, {"a": None}], {"b": 1.5}])
def test_results_are_json(value: object) -> None:
    assert json.loads(encode_result(value)) == value


def test_a_result_that_json_cannot_hold_is_told_by_its_type() -> None:
    loop: list[object] = []
    loop.append(loop)
    for value in (object(), {object(): 1}, "\ud800", loop):
        with pytest.raises(TypeError, match=f"a result of type {type(value).__name__} cannot be written as JSON"):
            encode_result(value)


# -- built in ----------------------------------------------------------------------------------------------------------


def test_the_built_in_handlers() -> None:
    found = collect([builtin])
    assert {name: handler.isolation for name, handler in found.items()} == {
        "echo": "thread",
        "sleep": "async",
        "fail": "thread",
    }
    echo, sleep, fail = found["echo"], found["sleep"], found["fail"]
    assert echo.function(**echo.bind(b'[1, "x"]')) == [1, "x"]
    assert asyncio.run(sleep.function(**sleep.bind(b'{"seconds": 0}'))) is None
    with pytest.raises(RuntimeError, match=r"^so it is$"):
        fail.function(**fail.bind(b'{"message": "so it is"}'))


# -- what an import costs ----------------------------------------------------------------------------------------------


MOST_MODULES = 110
"""What `import taskqueue` loads, where it was 101 modules and took 51 to 58 ms."""


def test_importing_taskqueue_is_cheap_and_loads_no_other_room() -> None:
    """Its cost is that of the modules it loads; how many seconds they take is the machine's affair."""
    script = """
import sys
before = len(sys.modules)
import taskqueue
rooms = ("pykka", "falcon", "waitress", "redis", "storage", "cluster", "actors", "api", "asyncio", "argparse", "httpx2")
rooms += ("taskqueue.client", "taskqueue.errors")
print(len(sys.modules) - before, sorted(name for name in rooms if name in sys.modules), taskqueue.__version__)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    modules, rest = done.stdout.split(" ", 1)
    assert rest == "[] 0.1.0\n"
    assert int(modules) <= MOST_MODULES


def test_what_is_public_is_what_it_says() -> None:
    import taskqueue

    assert taskqueue.TaskContext is TaskContext
    handlers = {"task", "TaskContext", "Retry", "Discard", "Snooze"}
    client = {"connect", "Client", "Body", "TaskRef", "get", "get_async", "wait", "wait_async", "errors"}
    assert set(taskqueue.__all__) == handlers | client | {"__version__"}
    assert all(getattr(taskqueue, name) is not None for name in taskqueue.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        taskqueue.nothing  # noqa: B018


# -- schedules in code -------------------------------------------------------------------------------------------------


def sweep(days: int = 7) -> None:
    """A handler that needs nothing."""


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"every": "30s"}, {"every": 30 * SECOND}),
        ({"every": 1.5}, {"every": 1_500_000}),
        ({"every": timedelta(minutes=2)}, {"every": 120 * SECOND}),
        ({"cron": "@hourly"}, {"cron": "@hourly"}),
        (
            {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "misfire": "runAll", "overlap": "skip"},
            {
                "cron": "30 2 * * *",
                "timezone": "Europe/Berlin",
                "misfire": Misfire.RUN_ALL,
                "overlap": Overlap.SKIP,
            },
        ),
    ],
)
def test_a_schedule_may_stand_beside_a_handler(options: dict[str, Any], fields: dict[str, Any]) -> None:
    handler = task("x", **options)(sweep).handler
    assert handler.schedule == Spec(handler="x", payload=b"{}", owner=Owner.CODE, **fields)
    assert handler.declaration().scheduled


def test_without_one_nothing_is_scheduled() -> None:
    handler = task("x")(sweep).handler
    assert handler.schedule is None
    assert not handler.declaration().scheduled


def test_a_handler_of_the_whole_payload_gets_what_it_takes() -> None:
    def whole(payload: None) -> None: ...

    schedule = task("x", every="1s")(whole).handler.schedule
    assert schedule is not None
    assert schedule.payload == b"null"


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (sweep, {"cron": "0 0 31 2 *"}, "cron: never due: there is no such date"),
        (sweep, {"cron": "@hourly", "every": "1s"}, "cron: give either cron or every"),
        (sweep, {"timezone": "UTC"}, "cron: give either cron or every"),
        (sweep, {"every": 0}, "every: expected a duration of at least 100ms"),
        (sweep, {"every": timedelta(seconds=-1)}, "every: expected a duration"),
        (sweep, {"cron": "@hourly", "timezone": "Europe/Berln"}, "timezone: "),
        (sweep, {"cron": "@hourly", "misfire": "maybe"}, "misfire: expected one of skip, runOnce, runAll"),
        (sweep, {"cron": "@hourly", "overlap": "queue"}, "overlap: expected one of allow, skip"),
        (sweep, {"cron": object()}, "cron: "),
        (add, {"every": "1s"}, "a schedule gives no payload, so every parameter needs a default"),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(function: Any, options: dict[str, Any], said: str) -> None:
    assert refused(function, **options).startswith(f'@task("x"): {said}')
