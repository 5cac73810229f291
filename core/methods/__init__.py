"""What is trained in front of the input: the contract of a method, and one file per method."""
