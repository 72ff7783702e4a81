"""The mathematics in numpy and scipy: geometry, clinical parameters, errors, intervals."""
