"""The network, its file, and the set-up of TensorFlow."""
