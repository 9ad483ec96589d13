"""Run the command line: `python -m qtha_lab`."""

from qtha_lab.cli import main

if __name__ == "__main__":
    main()
