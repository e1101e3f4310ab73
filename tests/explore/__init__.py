"""Tests of pipeline.explore."""
