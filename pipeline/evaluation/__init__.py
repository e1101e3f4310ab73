"""What a trained network is worth: predictions, scores, calibration, attribution."""
