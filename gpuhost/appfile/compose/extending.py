"""`extends`: a service merged with another one, of the same file or of another."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.merging import merged, size, untagged
from gpuhost.appfile.compose.paths import in_source
from gpuhost.appfile.compose.sources import FileError, FileLine, OneDocument, Sources
from gpuhost.appfile.compose.uses import Owner

Services = Mapping[str, Any]
LONGEST_CHAIN = 50


@dataclass
class Extending:
    """Remembers what each service is made of."""

    sources: Sources
    _extended: dict[Owner, set[Owner]] = field(default_factory=dict)

    def service(
        self,
        name: str,
        services: Services,
        one: OneDocument,
        earlier: Services,
        extending: tuple[Owner, ...] = (),
    ) -> Any:
        """A service with what it extends.

        + services: of its document; earlier: of the files before it
        """
        own = services.get(name)
        if not isinstance(own, dict) or "extends" not in own:
            return own
        own = dict(own)
        extends = untagged(own.pop("extends"))
        extends = {"service": extends} if isinstance(extends, str) else extends
        owner = (one.file, name)
        if not isinstance(extends, dict):
            return own
        if owner in extending:
            key_path = ("services", name, "extends")
            self.sources.error(one, key_path, f"services.{name} extends itself")
            return own
        where = (self.sources.shown(one.file), one.line("services", name, "extends"))
        if len(extending) > LONGEST_CHAIN:
            said = f"services.{name} extends another in a chain of more than {LONGEST_CHAIN}"
            self.sources.errors.append(FileError(*where, said))
            return own
        base = self._base(name, extends, services, one, earlier, (*extending, owner))
        if not isinstance(base, dict) or not self.sources.may_add(size(base), where):
            return own
        return merged(untagged(base), own)

    def all_of(self, owners: Iterable[Owner]) -> frozenset[Owner]:
        """These services, and those that they extend."""
        known: set[Owner] = set()
        left = list(owners)
        while left:
            owner = left.pop()
            if owner not in known:
                known.add(owner)
                left += self._extended.get(owner, ())
        return frozenset(known)

    def _base(
        self,
        name: str,
        extends: Mapping[str, Any],
        services: Services,
        one: OneDocument,
        earlier: Services,
        extending: tuple[Owner, ...],
    ) -> Any:
        other, of_file = str(extends.get("service") or name), extends.get("file")
        key_path = ("services", name, "extends")
        if isinstance(of_file, str):
            path = in_source(of_file, one.base)
            self._extended.setdefault((one.file, name), set()).add((path, other))
            where = (self.sources.shown(one.file), one.line(*key_path, "file"))
            return self._of_other_file(path, other, where, one, extending)
        self._extended.setdefault((one.file, name), set()).add((one.file, other))
        known = services if other in services else earlier
        if other not in known:
            message = f"services.{name} extends {other}: no such service"
            self.sources.error(one, key_path, message)
            return None
        return self.service(other, known, one, earlier, extending)

    def _of_other_file(
        self,
        path: str,
        name: str,
        where: FileLine,
        by: OneDocument,
        extending: tuple[Owner, ...],
    ) -> Any:
        result: Any = None
        documents = self.sources.documents(path, where)
        for document in documents:
            one = OneDocument(path, document, posixpath.dirname(path) or ".", by.lookup)
            value = self.sources.values(one)
            services = untagged(value).get("services") if isinstance(value, dict) else None
            if isinstance(services, dict) and name in services:
                result = merged(result, self.service(name, services, one, {}, extending))
        if documents and result is None and self.sources.may_add(0, where):
            said = f"{self.sources.shown(path)} has no service {name}"
            self.sources.errors.append(FileError(*where, said))
        return result
