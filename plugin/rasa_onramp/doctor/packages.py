"""Whether Python and the installed packages are those that the installed distribution asks for."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Dict, Iterator, List, Optional

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from rasa_onramp import __version__
from rasa_onramp.doctor.findings import Finding, ok, problem, warning

__all__ = ["package_findings"]

_NAME = "rasa-onramp"

#: Extras that bring together others' or are for those who work on us.
_NO_FEATURES = ("all", "test")


def package_findings(*, needs_rasa: bool, name: str = _NAME) -> Iterator[Finding]:
    """Python, the packages that we can't do without, and those of extras that are installed.

    `needs_rasa` says whether there is a bot to run here.
    """
    try:
        declared = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        yield warning(
            "packages",
            f"{name} runs from a folder and isn't installed, so it can't be told whether the "
            "packages fit; run `pip install .` in that folder",
        )
        return
    yield from _python(declared)
    if name == _NAME and declared.version != __version__:
        yield warning(
            "packages",
            f"{name} {declared.version} is installed, but its code is {__version__}'s; install "
            "the one you mean",
        )
    requirements = [Requirement(line) for line in declared.requires or ()]
    core = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    flaws = [flaw for flaw in (_flaw(each, name) for each in core) if flaw]
    for flaw in flaws:
        yield problem("packages", flaw)
    if not flaws:
        yield ok(
            "packages", f"{name} {declared.version}: all {len(core)} packages that it needs fit"
        )
    yield from _extras(declared, requirements, name, needs_rasa)


def _python(declared: metadata.Distribution) -> Iterator[Finding]:
    wanted, found = declared.metadata["Requires-Python"], platform.python_version()
    if wanted and not SpecifierSet(wanted).contains(found, prereleases=True):
        yield problem("python", f"this is Python {found}; install one that is {wanted}")
    else:
        yield ok("python", found)


def _extras(
    declared: metadata.Distribution, requirements: List[Requirement], name: str, needs_rasa: bool
) -> Iterator[Finding]:
    absent: Dict[str, str] = {}
    for extra in declared.metadata.get_all("Provides-Extra") or ():
        if extra in _NO_FEATURES:
            continue
        members = [
            r
            for r in requirements
            if r.marker is not None
            and r.marker.evaluate({"extra": extra})
            and not r.marker.evaluate({"extra": ""})
        ]
        missing = [r.name for r in members if _version(r.name) is None]
        if missing:
            absent[extra] = ", ".join(missing)
            continue
        flaws = [flaw for flaw in (_flaw(each, f"{name}[{extra}]") for each in members) if flaw]
        for flaw in flaws:
            yield problem(f"extra {extra}", flaw)
        if not flaws:
            installed = ", ".join(f"{r.name} {_version(r.name)}" for r in members)
            yield ok(f"extra {extra}", installed)
    if needs_rasa and "rasa" in absent:
        yield problem(
            "extra rasa",
            f"{absent.pop('rasa')}: not installed, so no bot runs here; use Python 3.8 to 3.10 and "
            f"pip install '{name}[rasa]'",
        )
    if absent:
        listed = "; ".join(f"{extra} (lacks {lacks})" for extra, lacks in sorted(absent.items()))
        yield ok("extras", f"not installed: {listed}")


def _flaw(requirement: Requirement, install: str) -> Optional[str]:
    found = _version(requirement.name)
    mend = f"pip install '{requirement.name}{requirement.specifier}'"
    if found is None:
        return f"{requirement.name} isn't installed; {mend}"
    if not requirement.specifier.contains(found, prereleases=True):
        return f"{requirement.name} is {found}, but {install} needs {requirement.specifier}; {mend}"
    return None


def _version(name: str) -> Optional[str]:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
