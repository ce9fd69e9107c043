"""`python -m crewmix` is the command `crewmix`."""

from crewmix.cli import main

if __name__ == "__main__":
    main()
