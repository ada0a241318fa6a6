"""What the program costs and what it can carry: measured by running it, part by part."""
