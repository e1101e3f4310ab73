"""Tests and intervals: functions of numbers and tables."""
