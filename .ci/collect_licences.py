"""Copies the licence texts of some installed packages into a folder, one for each kind: real documents for `make run`."""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

PACKAGES = {
    "aiohttp": "Apache-2.0",
    "codespell": "GPL-2.0",
    "hypothesis": "MPL-2.0",
    "pydantic": "MIT",
    "shellingham": "ISC",
    "starlette": "BSD-3-Clause",
    "typing-extensions": "PSF-2.0",
}


def collect(target: Path) -> int:
    """Copy the texts to `target` and return how many there are."""
    target.mkdir(parents=True, exist_ok=True)
    copied = 0
    for package, licence in PACKAGES.items():
        try:
            files = distribution(package).files or []
        except PackageNotFoundError:
            continue
        texts = [
            f for f in files if f.name.split(".")[0] in {"LICENSE", "COPYING"} and f.parent.name in {"", "licenses"}
        ]
        texts = texts or [f for f in files if f.name.split(".")[0] in {"LICENSE", "COPYING"}]
        if texts:
            text = texts[0].read_text(encoding="utf-8")
            (target / f"{package}-{licence}.txt").write_text(text, encoding="utf-8")
            copied += 1
    return copied


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if not collect(folder):
        sys.exit("no installed package brings its licence text")
    sys.stdout.write(f"documents: {len(list(folder.iterdir()))} licence texts in {folder}\n")
