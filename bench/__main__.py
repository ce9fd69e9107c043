"""Run benchmarks by name, or all of them."""

import importlib
import sys

NAMES = ("startup", "overlap", "load", "journal", "recorded")


def main() -> int:
    """Run what was named; 2 when a name is unknown."""
    names = sys.argv[1:] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"unknown benchmark: {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        print(f"\n## {name}: {(module.__doc__ or '').strip().splitlines()[0]}\n")
        module.main()
    return 0


sys.exit(main())
