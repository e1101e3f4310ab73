"""The models that can be asked, and the test images."""
