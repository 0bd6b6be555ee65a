"""`python -m pcc_cli` is `pcc`."""

from pcc_cli.cli.main import main

if __name__ == "__main__":
    main()
