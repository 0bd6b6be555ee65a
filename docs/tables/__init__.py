"""The tables of docs/benchmarks.md, from rows of `pcc eval`."""
