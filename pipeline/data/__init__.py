"""Raw data in: its layouts, how they are read, and what to know of the images."""
