"""The tests: one file per module of the package, in the same folders. What several of them use is in support."""
