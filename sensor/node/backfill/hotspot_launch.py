"""Where a JVM was told to take classes from: its command line, and the variables that add to it.

The rules are those of the ``java`` launcher (OpenJDK: ``libjli/java.c``, ``libjli/args.c``, the ``java``
command's manual). The environment of a process holds secrets: of it only the variables named here are
kept, and nothing of either is ever logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

BYTES_MAX = 2 << 20
"""Read of a command line or an environment; the kernel allows 128 KiB a word, and 2 MiB by default in all."""

_WORDS = 20_000
_VARIABLES = frozenset({"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"})
_CLASS_PATH = frozenset({"-cp", "-classpath", "--class-path"})
_MODULE_PATH = frozenset({"-p", "--module-path", "--upgrade-module-path"})
_WITH_VALUE = frozenset(
    {"--add-modules", "--add-exports", "--add-opens", "--add-reads", "--patch-module", "--limit-modules",
     "--enable-native-access", "--source", "--describe-module", "-d"}
)  # fmt: skip
_MAIN_MODULE = frozenset({"-m", "--module"})
_WORD = re.compile(r"""#[^\n]*|((?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s"'])+)""", re.DOTALL)
_QUOTES = re.compile(r"""\\(.)|["']""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Launch:
    """Paths as they were given, relative ones included.

    ``class_path`` is None where the command line leaves it open; '' in it is the working folder, and a
    last ``*`` stands for the jars of a folder. ``others``: agents, module path, appended boot class path.
    """

    class_path: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class _Options:
    class_path: str | None = None
    others: list[str] = field(default_factory=list)
    jar: bool = False


def read_launch(pid: int, read_file: Callable[[str], str | None], proc: str = "/proc") -> Launch:
    """Return how process ``pid`` was launched; an empty one if it cannot be read.

    ``read_file`` returns the text of an argument file, which is named as on the command line.
    """
    arguments = [word.decode("utf-8", "surrogateescape") for word in _read(f"{proc}/{pid}/cmdline")]
    return launch(arguments[1:], _variables(_read(f"{proc}/{pid}/environ")), read_file)


def launch(
    arguments: Sequence[str], environment: Mapping[str, str], read_file: Callable[[str], str | None]
) -> Launch:
    """Return where classes come from, of the words after the program's name and the environment."""
    options = _Options()
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"):
        _parse(list(_split(environment.get(name, ""))), options)
    words = list(_expanded(arguments, read_file))
    _parse(words, options)
    class_path = options.class_path
    if class_path is None and not options.jar:
        class_path = environment.get("CLASSPATH")
    return Launch(None if class_path is None else tuple(class_path.split(":")), tuple(options.others))


def _parse(words: Sequence[str], options: _Options) -> None:
    """Later options win, as in the launcher; the first word that is none is the main class or the jar."""
    rest = iter(words)
    for word in rest:
        if word in _CLASS_PATH:
            options.class_path = next(rest, None)
        elif word in _MODULE_PATH:
            options.others += next(rest, "").split(":")
        elif word in _WITH_VALUE:
            next(rest, None)
        elif word in _MAIN_MODULE:
            return
        elif word == "-jar":
            options.jar = True
        elif word.startswith("-"):
            _parse_joined(word, options)
        elif word:
            if options.jar:
                options.class_path = word
            return


def _parse_joined(word: str, options: _Options) -> None:
    name, _, value = word.partition("=")
    if name in ("--class-path", "-Djava.class.path"):
        options.class_path = value
    elif name in ("--module-path", "--upgrade-module-path"):
        options.others += value.split(":")
    elif name.startswith("-javaagent:"):
        options.others.append(name.removeprefix("-javaagent:"))
    elif word.startswith("-Xbootclasspath/a:"):
        options.others += word.removeprefix("-Xbootclasspath/a:").split(":")


def _expanded(words: Sequence[str], read_file: Callable[[str], str | None]) -> Iterator[str]:
    """Replace @files by the words in them (JDK 9), up to the main class; they do not nest."""
    expecting, done = False, False
    for word in words[:_WORDS]:
        if word == "--disable-@files":
            done = True
        if done or not word.startswith("@") or word.startswith("@@"):
            yield word.removeprefix("@") if word.startswith("@@") and not done else word
            # What does not begin with a dash and is no option's value is the main class.
            done = done or (not expecting and not word.startswith("-"))
            expecting = word in _CLASS_PATH or word in _MODULE_PATH or word in _WITH_VALUE
        else:
            yield from _split(read_file(word[1:]) or "")
            expecting = False


def _split(text: str) -> Iterator[str]:
    for number, match in enumerate(_WORD.finditer(text)):
        if number >= _WORDS:
            return
        if match[1]:
            yield _QUOTES.sub(lambda quote: quote[1] or "", match[1]) if _quoted(match[1]) else match[1]


def _quoted(word: str) -> bool:
    return '"' in word or "'" in word


def _variables(environment: Sequence[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in environment:
        name, _, value = entry.partition(b"=")
        key = name.decode("utf-8", "replace")
        if key in _VARIABLES:
            found.setdefault(key, value.decode("utf-8", "surrogateescape"))
    return found


def _read(path: str) -> list[bytes]:
    parts: list[bytes] = []
    left = BYTES_MAX
    try:
        with open(path, "rb", buffering=0) as file:
            while left > 0 and (part := file.read(min(left, 1 << 16))):
                parts.append(part)
                left -= len(part)
    except OSError:
        return []
    return b"".join(parts).rstrip(b"\0").split(b"\0")
