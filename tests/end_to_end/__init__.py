"""Tests that run the real `dvc`, or train: in temporary clones, with small counts."""
