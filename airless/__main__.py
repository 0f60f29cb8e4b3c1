"""``python -m airless`` is the ``airless`` command."""

from airless.cli import main

if __name__ == "__main__":
    main()
