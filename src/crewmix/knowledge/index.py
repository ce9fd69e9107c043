"""The crew's documents, searchable: an SQLite full-text index that is brought up to date when it is opened."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crewmix.errors import StorageError
from crewmix.knowledge.chunk import CHUNK_CHARACTERS, Chunk, chunk
from crewmix.knowledge.load import find_files, read_bytes, read_document
from crewmix.knowledge.names import document_names
from crewmix.knowledge.parts import Unreadable
from crewmix.knowledge.query import Hit, diversified, normal, phrases, prefixes
from crewmix.knowledge.sources import Source

__all__ = ["Hit", "Index"]

_SCHEMA = (
    "create table knowledge_meta(version text not null)",
    """create table knowledge_files(
        path text primary key, mtime integer not null, size integer not null, sha text not null,
        skipped text not null, warning text not null)""",
    """create table knowledge_chunks(
        id integer primary key, path text not null, place text not null, title text not null, heading text not null,
        text text not null)""",
    "create index knowledge_chunks_by_path on knowledge_chunks(path, id)",
    """create virtual table knowledge_fts using fts5(
        title, heading, text, content='knowledge_chunks', content_rowid='id',
        tokenize='porter unicode61 remove_diacritics 2')""",
)
_TABLES = ("knowledge_fts", "knowledge_chunks", "knowledge_files", "knowledge_meta")
_VERSION = f"1/{CHUNK_CHARACTERS}"
"""Of schema, loaders and chunker together: another one makes the index anew."""
_ONE_PHRASE = "select rowid, -bm25(knowledge_fts, 2.0, 1.5, 1.0) from knowledge_fts where knowledge_fts match ?"
_OWN = "select id from knowledge_chunks where path in (select path from temp.mine)"
_ROWS = "select id, path, place, heading, text from knowledge_chunks where id in (select value from json_each(?))"
_POOL = 200
"""Distinct passages weighed against each other in one search."""
_MAX_ROWS = 2000
"""Rows looked at in one search, repetitions included."""
_MAX_SAME = 8
"""Other places named for a passage that stands in several documents."""

_Row = tuple[str, str, str, str, float]


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as the index last saw it."""

    mtime: int
    size: int
    sha: str
    skipped: str
    warning: str


class Index:
    """The searchable documents of one crew. Safe to use from several threads. Made by `Index.open`.

    Attributes:
        documents: Names of the documents that can be found, sorted.
        skipped: (path, reason) for every file or folder that was left out.
        warnings: What else the user should know, e.g. that a file is not UTF-8.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self.documents: tuple[str, ...] = ()
        self.skipped: tuple[tuple[str, str], ...] = ()
        self.warnings: tuple[str, ...] = ()

    @classmethod
    def open(cls, paths: Sequence[Path], project: Path, database: Path | None) -> Index:
        """The index of `paths`, brought up to date: only new and changed files are read.

        Args:
            paths: Files and folders the crew may search.
            project: Documents are named relative to this folder.
            database: Where the index is kept; several crews may share it. None, or a file that cannot be used, keeps
                it in memory (the latter with a warning).

        Raises:
            StorageError: This Python's SQLite has no full-text search.
        """
        warning = ""
        if database is not None:
            try:
                database.parent.mkdir(parents=True, exist_ok=True)
                return cls._opened(paths, project, str(database), "")
            except (OSError, sqlite3.Error) as error:
                warning = f"{database}: the search index cannot be kept here ({error}); it is made anew for this run"
        try:
            return cls._opened(paths, project, ":memory:", warning)
        except sqlite3.Error as error:
            raise StorageError(
                f"documents cannot be indexed: {error}", hint="use a Python whose SQLite has FTS5"
            ) from error

    @classmethod
    def _opened(cls, paths: Sequence[Path], project: Path, database: str, warning: str) -> Index:
        db = sqlite3.connect(database, timeout=30, check_same_thread=False, isolation_level=None)
        try:
            db.execute("pragma journal_mode=wal")
            db.execute("pragma synchronous=normal")
            _create_tables(db)
            index = cls(db)
            index._update(paths, project.resolve(), warning)
            return index
        except BaseException:
            db.close()
            raise

    def search(self, query: str, limit: int = 5) -> tuple[Hit, ...]:
        """The passages that fit `query` best, best first: equal ones once, alike ones late.

        Args:
            query: Words or a question in any form; operators have no meaning.
            limit: The most passages.

        Raises:
            StorageError: The index is damaged.
        """
        if limit < 1:
            return ()
        try:
            with self._lock:
                rows = self._matching(phrases(query)) or self._matching(prefixes(query))
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"the search index cannot be read: {error}", hint="delete it; it is made anew"
            ) from error
        return diversified(self._distinct(rows)[:_POOL], limit)

    def texts(self) -> Iterator[Source]:
        """Every passage of every document, in the order of documents and places."""
        for path, name in sorted(self._names.items(), key=lambda item: item[1]):
            with self._lock:
                rows = self._db.execute(
                    "select place, text from knowledge_chunks where path=? order by id", (path,)
                ).fetchall()
            for place, text in rows:
                yield Source(name, place, text)

    def close(self) -> None:
        """Let go of the database; the index cannot be used afterwards."""
        with self._lock:
            self._db.close()

    # -- searching -------------------------------------------------------------------------------------------------

    def _matching(self, expressions: Sequence[str]) -> list[_Row]:
        """The crew's best passages by BM25, summed over `expressions`.

        FTS5 gives words of more than half the passages no weight at all, so that "copyright" would count for nothing
        among licences. Its weight of a single expression is known, though, and here it is exchanged for the one that
        Lucene uses, which is always positive.
        """
        total = self._db.execute("select count(*) from knowledge_chunks").fetchone()[0]
        own = {number for (number,) in self._db.execute(_OWN)} if expressions else set[int]()
        scores: dict[int, float] = {}
        for expression in expressions:
            found = self._db.execute(_ONE_PHRASE, (expression,)).fetchall()
            odds = (total - len(found) + 0.5) / (len(found) + 0.5)
            weight = math.log(1 + odds) / max(math.log(odds), 1e-6)
            for number, score in found:
                if number in own:
                    scores[number] = scores.get(number, 0.0) + score * weight
        best = heapq.nlargest(_MAX_ROWS, scores, key=lambda number: (scores[number], -number))
        rows = [(row, scores[row[0]]) for row in self._db.execute(_ROWS, (json.dumps(best),))]
        rows.sort(key=lambda item: (-item[1], item[0][1], item[0][0]))
        return [(*row[1:], score) for row, score in rows]

    def _distinct(self, rows: list[_Row]) -> list[Hit]:
        """One hit for each text, which knows the other places of that text."""
        hits: dict[str, tuple[_Row, list[Source]]] = {}
        for row in rows:
            path, place, _, text, _ = row
            source = Source(self._names[path], place, text)
            _, sources = hits.setdefault(" ".join(text.split()), (row, []))
            if source not in sources and len(sources) <= _MAX_SAME:
                sources.append(source)
        return [Hit(s[0], row[4], row[3], row[2], tuple(s[1:])) for row, s in hits.values()]

    # -- bringing it up to date ------------------------------------------------------------------------------------

    def _update(self, paths: Sequence[Path], project: Path, warning: str) -> None:
        files, left_out = find_files(paths)
        names = document_names(((f.path, f.root) for f in files), project)
        self._forget([path.resolve() for path in paths])
        known = self._known()
        skipped = [(_relative(path, project), reason) for path, reason in left_out]
        warnings = [warning] if warning else []
        for file in files:
            path, name = str(file.path), names[file.path]
            seen = self._bring_up(file.path, name, known.get(path))
            if seen.skipped:
                skipped.append((name, seen.skipped))
            else:
                self._names[path] = name
            if seen.warning:
                warnings.append(f"{name}: {seen.warning}")
        self._db.execute("create temp table mine(path text primary key) without rowid")
        self._db.executemany("insert into temp.mine values (?)", [(path,) for path in self._names])
        self.documents = tuple(sorted(self._names.values()))
        self.skipped = tuple(sorted(skipped))
        self.warnings = tuple(warnings)

    def _known(self) -> dict[str, _Known]:
        rows = self._db.execute("select path, mtime, size, sha, skipped, warning from knowledge_files")
        return {path: _Known(*rest) for path, *rest in rows}

    def _forget(self, roots: list[Path]) -> None:
        """Drop files that were under `roots` once and exist no more."""
        for path in self._known():
            if any(Path(path).is_relative_to(root) for root in roots) and not Path(path).exists():
                self._replace(path, None, [])

    def _bring_up(self, path: Path, name: str, known: _Known | None) -> _Known:
        try:
            info = path.stat()
            if known and (known.mtime, known.size) == (info.st_mtime_ns, info.st_size):
                return known
            data = read_bytes(path)
        except (OSError, Unreadable) as error:
            return _Known(0, 0, "", str(error), "")
        sha, title, chunks = hashlib.sha256(data).hexdigest(), name, list[Chunk]()
        if known and known.sha == sha:
            fresh = _Known(info.st_mtime_ns, info.st_size, sha, known.skipped, known.warning)
            row = (fresh.mtime, fresh.size, str(path))
            self._db.execute("update knowledge_files set mtime=?, size=? where path=?", row)
            return fresh
        try:
            document = read_document(path, data)
            chunks = list(chunk(document))
            fresh = _Known(info.st_mtime_ns, info.st_size, sha, "", document.warning)
        except Unreadable as error:
            fresh = _Known(info.st_mtime_ns, info.st_size, sha, str(error), "")
        self._replace(str(path), fresh, [(str(path), c.place, title, c.heading, c.text) for c in chunks])
        return fresh

    def _replace(self, path: str, known: _Known | None, chunks: list[tuple[str, str, str, str, str]]) -> None:
        columns = "id, title, heading, text"
        with _transaction(self._db):
            for row in self._db.execute(f"select {columns} from knowledge_chunks where path=?", (path,)).fetchall():
                self._index(
                    "insert into knowledge_fts(rowid, title, heading, text, knowledge_fts) values (?,?,?,?,'delete')",
                    row,
                )
            self._db.execute("delete from knowledge_chunks where path=?", (path,))
            self._db.execute("delete from knowledge_files where path=?", (path,))
            if known is not None:
                seen = (path, known.mtime, known.size, known.sha, known.skipped, known.warning)
                self._db.execute("insert into knowledge_files values (?,?,?,?,?,?)", seen)
            for chunk_row in chunks:
                added = "insert into knowledge_chunks(path, place, title, heading, text) values (?,?,?,?,?) returning "
                row = self._db.execute(added + columns, chunk_row).fetchone()
                self._index("insert into knowledge_fts(rowid, title, heading, text) values (?,?,?,?)", row)

    def _index(self, statement: str, row: tuple[int, str, str, str]) -> None:
        """Put a passage into the full-text index or, with exactly the same words, take it out again."""
        self._db.execute(statement, (row[0], *map(normal, row[1:])))


@contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[None, None, None]:
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")


def _create_tables(db: sqlite3.Connection) -> None:
    with _transaction(db):
        exists = db.execute("select 1 from sqlite_master where name='knowledge_meta'").fetchone()
        if exists and db.execute("select version from knowledge_meta").fetchone() == (_VERSION,):
            return
        for table in _TABLES:
            db.execute(f"drop table if exists {table}")
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute("insert into knowledge_meta values (?)", (_VERSION,))


def _relative(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)
