"""Everything that matplotlib draws: functions of values that return a `Figure`."""
