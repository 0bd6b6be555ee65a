"""Between a shape and the sections of a file: header, tiles, digests. `api` puts them together."""
