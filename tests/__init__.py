"""Tests: fast ones of pure functions, and real ones that run `dvc` in temporary clones."""
