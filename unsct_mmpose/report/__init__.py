"""What is said about a radiograph: predictions as records, and their writers."""
